package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/mullion/mullion/internal/cli"
	"github.com/mullion/mullion/internal/diffpage"
	"github.com/mullion/mullion/internal/testenv"
)

// browser is a tab that fails the test if a page asks for anything or reports an error.
type browser struct {
	context.Context
	t    *testing.T
	mu   sync.Mutex
	bad  []string
	page string // the address of the page
}

func openBrowser(t *testing.T, page string) *browser {
	t.Helper()
	flags := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(testenv.Program(t, "chromium", "chromium")),
		chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1200, 800),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WSURLReadTimeout(2*time.Minute))
	limit, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	alloc, stop := chromedp.NewExecAllocator(limit, flags...)
	t.Cleanup(stop)
	ctx, done := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the end of the browser, which uses the folder
		done()
	})
	b := &browser{Context: ctx, t: t, page: "file://" + page}
	err := chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if url := e.Request.URL; !strings.HasPrefix(url, b.page) && !strings.HasPrefix(url, "blob:") {
				b.bad = append(b.bad, "request of "+url)
			}
		case *runtime.EventExceptionThrown:
			b.bad = append(b.bad, "exception: "+e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			b.bad = append(b.bad, "console: "+string(e.Type))
		case *log.EventEntryAdded:
			b.bad = append(b.bad, e.Entry.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	b.run(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		if _, err := cdp.Call(ctx, tab, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, tab, log.Enable, cdp.Empty{})
		return err
	}))
	return b
}

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// open shows the page with a fragment in its address, and waits until the list is there.
func (b *browser) open(fragment string) {
	b.t.Helper()
	b.run(chromedp.Navigate("about:blank"), chromedp.Navigate(b.page+fragment))
	b.shown("#app[data-ready]", true)
}

// eval evaluates an expression.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// until waits until an expression is true.
func (b *browser) until(expression string) {
	b.t.Helper()
	for range 1000 {
		if eval[bool](b, expression) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.close()
	b.t.Fatalf("%s is never true, at %s", expression, eval[string](b, "location.hash+document.querySelector('#list').innerHTML"))
}

// shown waits until an element is in the page, or no such element is.
func (b *browser) shown(selector string, want bool) {
	b.t.Helper()
	b.until(fmt.Sprintf("(document.querySelector(%q) !== null) === %v", selector, want))
}

// click clicks on the first element that a selector finds.
func (b *browser) click(selector string) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf("document.querySelector(%q).click() === undefined", selector))
}

// count waits until the page counts so many changes.
func (b *browser) count(want string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.getElementById('count').textContent === %q", want))
}

// close fails the test if the browser has reported anything.
func (b *browser) close() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.bad {
		if !strings.Contains(s, "about:blank") {
			b.t.Errorf("the browser reports: %s", s)
		}
	}
}

// The page of a comparison, as a person uses it.
func TestDiffPage(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	hello := "oci-archive:" + filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar")
	var stderr bytes.Buffer
	if status := cli.Main([]string{"diff", "--layer", "1", "--html", page, hello}, nil, &stderr, &stderr); status != 1 {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	b := openBrowser(t, page)
	b.open("")
	all := eval[int](b, `+document.getElementById('app').dataset.ready`)
	if all < 15 {
		t.Fatalf("%d changes", all)
	}
	b.count(fmt.Sprintf("%d changes", all))

	// Search, by the keyboard.
	// The protocol would also insert the character, which a keyboard does not.
	eval[bool](b, `document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '/', bubbles: true }))`)
	b.run(chromedp.KeyEvent("greeting"))
	b.count(fmt.Sprintf("1 of %d changes", all))
	b.run(chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent("j"), chromedp.KeyEvent(kb.Enter))
	b.shown("#list .details td.after", true)
	if text := eval[string](b, `document.querySelector("#list .details").innerText`); !strings.Contains(text, "Good morning") || !strings.Contains(text, "Hello from the delta hive") {
		t.Errorf("details are %q", text)
	}

	// The address leads to the same view.
	link := eval[string](b, `location.hash`)
	if !strings.Contains(link, "q=greeting") || !strings.Contains(link, "open=") {
		t.Errorf("the address is %s", link)
	}
	b.open(link)
	b.count(fmt.Sprintf("1 of %d changes", all))
	b.shown("#list .details td.after", true)
	b.run(chromedp.KeyEvent(kb.Escape))
	b.shown("#list .details", false)

	// Filters.
	b.open("#under=files%2Fhello")
	b.count(fmt.Sprintf("6 of %d changes", all))
	b.click("#area-f")
	b.count(fmt.Sprintf("0 of %d changes", all))
	b.open("#areas=f&side=a")
	b.count(fmt.Sprintf("1 of %d changes", all))
	b.click("#kind-r")
	b.count(fmt.Sprintf("0 of %d changes", all))
	b.open("")
	if shot := os.Getenv("MULLION_SCREENSHOT"); shot != "" {
		b.click(".row.kind-c")
		b.shown("#list .details td.after", true)
		png, err := chromedp.Run(b, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(shot, png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.close()
}

// A page of 100,000 changes, some of them with names that are made to do harm.
func TestLargeDiffPage(t *testing.T) {
	const rows = 100_000
	page := filepath.Join(t.TempDir(), "large.html")
	f, err := os.Create(page)
	if err != nil {
		t.Fatal(err)
	}
	p, err := diffpage.New(f, "first", "second")
	for i := 0; err == nil && i < rows; i++ {
		kind := []diffpage.Kind{diffpage.Added, diffpage.Removed, diffpage.Changed, diffpage.Renamed}[i%4]
		path := fmt.Sprintf(`Files\Windows\WinSxS\amd64_component-%05d_31bf3856ad364e35_10.0.20348.1_none_%08x\file%d.dll`, i/9, i/9*2654435761, i%9)
		if i == rows/2 {
			path = `Files\<img src=x onerror=document.title='owned'>`
		}
		err = p.Add(diffpage.Row{Kind: kind, Area: diffpage.File, Path: path, Note: "(content) 10.0 KiB -> 11.0 KiB", Fields: []diffpage.Field{
			{Name: "size", Before: fmt.Sprint(i), After: fmt.Sprint(i + 1)},
			{Name: "dacl", Removed: []string{"(A;;FA;;;BA)"}, Added: []string{"(A;;FR;;;WD)"}},
		}})
	}
	if err == nil {
		err = p.Close("different")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	b := openBrowser(t, page)
	b.open("")
	b.count("100000 changes")
	ready := eval[float64](b, `performance.getEntriesByName('mullion-ready')[0].startTime`)
	st, err := os.Stat(page)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a page of %d changes, %.1f MB, is drawn %.0f ms after the start of its navigation", rows, float64(st.Size())/1e6, ready)
	if n := eval[int](b, `document.querySelectorAll('.row').length`); n == 0 || n > 200 {
		t.Errorf("%d rows are drawn", n)
	}
	// The end of the list, and a row in the middle by its address.
	eval[float64](b, `document.getElementById('list').scrollTop = 1e9`)
	b.until(`[...document.querySelectorAll('.row')].some((r) => r.textContent.includes('component-11111_'))`)
	b.open("#open=" + "fa%3AFiles%5C%3Cimg%20src%3Dx%20onerror%3Ddocument.title%3D%27owned%27%3E")
	b.shown("#list .details td.after", true)
	if text := eval[string](b, `document.querySelector("#list .details").innerText`); !strings.Contains(text, "50001") || !strings.Contains(text, "(A;;FR;;;WD)") {
		t.Errorf("details are %q", text)
	}
	if title := eval[string](b, `document.title`); title != "first → second" {
		t.Errorf("the title is %q", title)
	}
	b.close()
}

// TestDiffPageLeft: a page says how many changes its list leaves out. The page has a smaller
// list here than those that are written.
func TestDiffPageLeft(t *testing.T) {
	var b bytes.Buffer
	p, err := diffpage.New(&b, "first", "second")
	for i := 0; err == nil && i < 7; i++ {
		err = p.Add(diffpage.Row{Kind: diffpage.Added, Area: diffpage.File, Path: fmt.Sprintf(`Files\file%d`, i)})
	}
	if err == nil {
		err = p.Close("different")
	}
	if err != nil {
		t.Fatal(err)
	}
	most := fmt.Appendf(nil, `"most":%d`, diffpage.MostShown)
	if bytes.Count(b.Bytes(), most) != 1 {
		t.Fatal("the page does not have its bound")
	}
	page := filepath.Join(t.TempDir(), "left.html")
	if err := os.WriteFile(page, bytes.Replace(b.Bytes(), most, []byte(`"most":5`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	tab := openBrowser(t, page)
	tab.open("")
	tab.count("5 of 7 changes")
	if text := eval[string](tab, `document.getElementById('left').innerText`); !strings.HasPrefix(text, "2 more changes are not in the list, which holds 5") {
		t.Errorf("the page says %q", text)
	}
	tab.open("#q=file6")
	tab.count("1 of 7 changes")
	tab.shown("#left", false)
	tab.close()
}
