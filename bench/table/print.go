package table

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// column is one column of a table: its head, and the text of a case's cell.
type column struct {
	head string
	// left sets the text to the left; figures are on the right.
	left bool
	cell func(g *Group, i int, r []Result) string
}

var columns = []column{
	{head: "case", left: true, cell: func(g *Group, i int, _ []Result) string { return g.Cases[i].Name }},
	{head: "role", left: true, cell: func(g *Group, i int, _ []Result) string { return string(g.Cases[i].Role) }},
	{head: "wall", cell: func(_ *Group, i int, r []Result) string { return duration(r[i].Median) }},
	{head: "min", cell: func(g *Group, i int, r []Result) string { return severalRuns(g, r[i].Min) }},
	{head: "max", cell: func(g *Group, i int, r []Result) string { return severalRuns(g, r[i].Max) }},
	{head: "CPU", cell: func(_ *Group, i int, r []Result) string { return duration(r[i].CPU) }},
	{head: "peak MiB", cell: func(_ *Group, i int, r []Result) string {
		below := ""
		if r[i].PeakBelow {
			below = "<"
		}
		return fmt.Sprintf("%s%.1f", below, float64(r[i].PeakKiB)/1024)
	}},
	{head: "of MiB", cell: func(g *Group, i int, r []Result) string {
		return kept(g.Memory > 0 && g.Cases[i].Role == Ours, r[i].PeakKiB<<10 <= g.Memory, fmt.Sprintf("%.1f", float64(g.Memory)/(1<<20)))
	}},
	{head: "read MB", cell: func(_ *Group, i int, r []Result) string { return megabytes(r[i].Read) }},
	{head: "moved MB", cell: func(_ *Group, i int, r []Result) string { return megabytes(r[i].Moved) }},
	{head: "peak B/item", cell: func(g *Group, i int, r []Result) string {
		return perItem(g.Items, "%.0f", func(n float64) float64 { return float64(r[i].PeakKiB) * 1024 / n })
	}},
	{head: "items/s", cell: func(g *Group, i int, r []Result) string {
		return perItem(g.Items, "%.0f", func(n float64) float64 { return n / r[i].Median.Seconds() })
	}},
	{head: "CPU ms/item", cell: func(g *Group, i int, r []Result) string {
		return perItem(g.Cases[i].Items, "%.2f", func(n float64) float64 { return r[i].CPU.Seconds() * 1000 / n })
	}},
	{head: "read MB/item", cell: func(g *Group, i int, r []Result) string {
		if r[i].Read < 0 {
			return ""
		}
		return perItem(g.Cases[i].Items, "%.3f", func(n float64) float64 { return float64(r[i].Read) / 1e6 / n })
	}},
	{head: "MB/s", cell: func(g *Group, i int, r []Result) string {
		return perItem(g.Bytes, "%.0f", func(n float64) float64 { return n / 1e6 / r[i].Median.Seconds() })
	}},
	{head: "wall ×", cell: func(g *Group, i int, r []Result) string {
		return ratio(g, i, r, func(r Result) time.Duration { return r.Median })
	}},
	{head: "CPU ×", cell: func(g *Group, i int, r []Result) string {
		return ratio(g, i, r, func(r Result) time.Duration { return r.CPU })
	}},
	{head: "CPU/floor", cell: func(g *Group, i int, r []Result) string {
		if g.Floor <= 0 {
			return ""
		}
		return significant(float64(r[i].CPU) / float64(g.Floor))
	}},
	{head: "goal", cell: func(g *Group, i int, r []Result) string {
		goal := g.Cases[i].Goal
		return kept(goal > 0, r[i].Min <= goal, duration(goal))
	}},
}

// kept is a limit with the word whether it was kept.
func kept(any, ok bool, limit string) string {
	switch {
	case !any:
		return ""
	case ok:
		return limit + " ok"
	}
	return limit + " over"
}

func severalRuns(g *Group, d time.Duration) string {
	if g.Runs < 2 {
		return ""
	}
	return duration(d)
}

func duration(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.2f ms", float64(d)/1e6)
}

// megabytes tells a few bytes from none.
func megabytes(n int64) string {
	switch {
	case n < 0:
		return ""
	case n < 1e6:
		return fmt.Sprintf("%.3f", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f", float64(n)/1e6)
}

func perItem(items int64, format string, figure func(items float64) float64) string {
	if items <= 0 {
		return ""
	}
	return fmt.Sprintf(format, figure(float64(items)))
}

// ratio is the figure of a case divided by that of the first case of mullion.
func ratio(g *Group, i int, r []Result, figure func(Result) time.Duration) string {
	for first, c := range g.Cases {
		if c.Role == Ours && r[first].Median > 0 {
			if ours := figure(r[first]); first != i && ours > 0 {
				return significant(float64(figure(r[i])) / float64(ours))
			}
			return ""
		}
	}
	return ""
}

func significant(f float64) string {
	switch {
	case f >= 10:
		return fmt.Sprintf("%.0f", f)
	case f >= 0.1:
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.4f", f)
}

// print writes one table of all groups. A column that is empty in all rows is left out.
func print(w io.Writer, title, what string, groups []Group, results [][]Result) {
	all := columns
	if what != "" {
		all = append([]column{{head: what, left: true, cell: func(g *Group, _ int, _ []Result) string { return g.Title }}}, all...)
	}
	rows := make([][]string, 0, len(groups))
	used := make([]bool, len(all))
	runs := 0
	for n := range groups {
		g, r := &groups[n], results[n]
		runs = max(runs, g.Runs)
		for i, c := range g.Cases {
			row := make([]string, len(all))
			failed := c.Skip
			if r[i].Err != nil {
				failed, _, _ = strings.Cut(r[i].Err.Error(), "\n")
			}
			for k, col := range all {
				switch {
				case failed == "" || col.head == what || col.head == "case" || col.head == "role":
					row[k] = escape(col.cell(g, i, r))
				case col.head == "wall":
					row[k] = "not run: " + escape(failed)
				}
				used[k] = used[k] || row[k] != ""
			}
			rows = append(rows, row)
		}
	}
	widths := make([]int, len(all))
	for k, col := range all {
		widths[k] = max(3, utf8.RuneCountInString(col.head))
		for _, row := range rows {
			if !strings.HasPrefix(row[k], "not run: ") { // which may be longer than its column
				widths[k] = max(widths[k], utf8.RuneCountInString(row[k]))
			}
		}
	}
	how := fmt.Sprintf("median of %d, interleaved", runs)
	if runs == 1 {
		how = "one run"
	}
	fmt.Fprintf(w, "\n### %s\n\n%s\n\n", title, how)
	line := func(cell func(k int) string) {
		fmt.Fprint(w, "|")
		for k := range all {
			if !used[k] {
				continue
			}
			text := cell(k)
			pad := strings.Repeat(" ", max(0, widths[k]-utf8.RuneCountInString(text)))
			if all[k].left {
				text += pad
			} else {
				text = pad + text
			}
			fmt.Fprintf(w, " %s |", text)
		}
		fmt.Fprintln(w)
	}
	line(func(k int) string { return all[k].head })
	line(func(k int) string {
		if all[k].left {
			return strings.Repeat("-", widths[k])
		}
		return strings.Repeat("-", widths[k]-1) + ":"
	})
	for _, row := range rows {
		line(func(k int) string { return row[k] })
	}
}

// escape makes text fit into a cell.
func escape(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ").Replace(s)
}
