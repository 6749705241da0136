import { render } from 'preact'
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { type Field, type Header, type Row, readFields, readHeader, readRows } from './data'
import { type State, allAreas, allKinds, filterRows, formatState, parseState, rowName } from './state'
import './diff.css'

const kindWords: Record<string, string> = { a: 'added', r: 'removed', c: 'changed', n: 'renamed' }
const areaWords: Record<string, string> = { c: 'configuration', f: 'files', k: 'registry' }

const rowHeight = 24

function Page({ header, rows }: { header: Header; rows: Row[] }) {
  const [state, setState] = useState<State>(() => parseState(location.hash))
  const [at, setAt] = useState(-1)
  const [copied, setCopied] = useState(false)
  const search = useRef<HTMLInputElement>(null)
  // What the keys act on; an effect would follow the state only after the next frame.
  const now = useRef({ shown: [] as Row[], at: -1 })
  const matching = useMemo(
    () => filterRows(rows, state),
    [rows, state.kinds, state.areas, state.side, state.under, state.query],
  )
  const shown = useMemo(() => matching.slice(0, header.most), [matching])
  const left = matching.length - shown.length
  const counts = useMemo(() => {
    const n: Record<string, number> = {}
    for (const r of rows) {
      n[r.kind] = (n[r.kind] ?? 0) + 1
      n['=' + r.area] = (n['=' + r.area] ?? 0) + 1
    }
    return n
  }, [rows])

  now.current = { shown, at }
  const move = (by: number) => {
    const { shown, at } = now.current
    now.current.at = Math.max(0, Math.min(at + by, shown.length - 1))
    setAt(now.current.at)
  }
  const change = (part: Partial<State>) => setState((s) => ({ ...s, ...part }))
  const toggle = (set: string, x: string, all: string) =>
    [...all].filter((y) => (y === x) !== set.includes(y)).join('')

  useEffect(() => {
    history.replaceState(null, '', formatState(state))
    setCopied(false)
  }, [state])
  useEffect(() => {
    const follow = () => setState(parseState(location.hash))
    addEventListener('hashchange', follow)
    return () => removeEventListener('hashchange', follow)
  }, [])
  useEffect(() => {
    const keys = (e: KeyboardEvent) => {
      const typing = e.target instanceof HTMLInputElement && e.target.type !== 'checkbox'
      if (e.ctrlKey || e.metaKey || e.altKey) return
      if (e.key === 'Escape') {
        if (typing) (e.target as HTMLElement).blur()
        else change({ open: '' })
      } else if (typing) {
        return
      } else if (e.key === '/') {
        search.current?.focus()
      } else if (e.key === 'j' || e.key === 'ArrowDown') {
        move(1)
      } else if (e.key === 'k' || e.key === 'ArrowUp') {
        move(-1)
      } else if (e.key === 'Enter' && !(e.target instanceof HTMLButtonElement)) {
        const r = now.current.shown[now.current.at]
        if (!r) return
        setState((s) => ({ ...s, open: s.open === rowName(r) ? '' : rowName(r) }))
      } else {
        return
      }
      e.preventDefault()
    }
    addEventListener('keydown', keys)
    return () => removeEventListener('keydown', keys)
  }, [])

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(location.href)
      setCopied(true)
    } catch {
      prompt('The link:', location.href) // where a page may not write to the clipboard
    }
  }

  return (
    <>
      <header>
        <h1>
          <bdi>{header.a}</bdi> → <bdi>{header.b}</bdi>
        </h1>
        <p>{header.summary}</p>
        <form onSubmit={(e) => e.preventDefault()}>
          <input
            ref={search}
            type="search"
            id="search"
            aria-label="search"
            placeholder="search paths and changes  ( / )"
            value={state.query}
            onInput={(e) => change({ query: e.currentTarget.value })}
          />
          <input
            type="search"
            id="under"
            aria-label="below a path"
            placeholder="below this path"
            value={state.under}
            onInput={(e) => change({ under: e.currentTarget.value })}
          />
          <select id="side" aria-label="side" value={state.side} onChange={(e) => change({ side: e.currentTarget.value })}>
            <option value="">both sides</option>
            <option value="a">only in the first</option>
            <option value="b">only in the second</option>
            <option value="ab">in both, different</option>
          </select>
          <button type="button" id="copy" onClick={() => void copy()}>
            {copied ? 'copied' : 'copy link'}
          </button>
        </form>
        <p class="filters">
          {[...allKinds].map((k) => (
            <label key={k} class={'kind-' + k}>
              <input
                type="checkbox"
                id={'kind-' + k}
                checked={state.kinds.includes(k)}
                onChange={() => change({ kinds: toggle(state.kinds, k, allKinds) })}
              />
              {kindWords[k]} {counts[k] ?? 0}
            </label>
          ))}
          <span class="gap" />
          {[...allAreas].map((a) => (
            <label key={a}>
              <input
                type="checkbox"
                id={'area-' + a}
                checked={state.areas.includes(a)}
                onChange={() => change({ areas: toggle(state.areas, a, allAreas) })}
              />
              {areaWords[a]} {counts['=' + a] ?? 0}
            </label>
          ))}
          <output id="count">
            {shown.length === rows.length ? `${rows.length} changes` : `${shown.length} of ${rows.length} changes`}
          </output>
        </p>
        {left > 0 && (
          <p id="left" role="status">
            {left} more changes are not in the list, which holds {header.most}; a search or a filter that leaves fewer shows
            them.
          </p>
        )}
      </header>
      <List rows={shown} open={state.open} at={at} onOpen={(open) => change({ open })} onAt={setAt} />
      <footer>/ search · j k move · Enter expand · Esc close</footer>
    </>
  )
}

interface ListProps {
  rows: Row[]
  open: string
  at: number
  onOpen: (name: string) => void
  onAt: (i: number) => void
}

/** The list draws the rows in view only. One row at a time is expanded. */
function List({ rows, open, at, onOpen, onAt }: ListProps) {
  const box = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  const [height, setHeight] = useState(800)
  const [extra, setExtra] = useState(0)
  const opened = useMemo(() => (open ? rows.findIndex((r) => rowName(r) === open) : -1), [rows, open])
  const gap = opened >= 0 ? extra : 0

  useLayoutEffect(() => {
    const el = box.current
    if (!el) return
    const size = new ResizeObserver(() => setHeight(el.clientHeight))
    size.observe(el)
    return () => size.disconnect()
  }, [])
  const reveal = (i: number) => {
    const el = box.current
    if (!el || i < 0) return
    const y = i * rowHeight + (opened >= 0 && i > opened ? gap : 0)
    if (y < el.scrollTop) el.scrollTop = y
    else if (y + rowHeight > el.scrollTop + el.clientHeight) el.scrollTop = y + rowHeight - el.clientHeight
  }
  useEffect(() => reveal(at), [at])
  useEffect(() => reveal(opened), [opened]) // a link leads to the row

  // Rows below the expanded one are moved down by the height of the details.
  const rowAt = (y: number) => {
    const i = Math.floor(y / rowHeight)
    if (opened < 0 || i <= opened) return i
    return Math.max(opened, Math.floor((y - gap) / rowHeight))
  }
  const from = Math.max(0, rowAt(top) - 10)
  const to = Math.min(rows.length, rowAt(top + height) + 11)
  const visible = []
  for (let i = from; i < to; i++) {
    const r = rows[i]
    if (!r) continue
    const name = rowName(r)
    const y = i * rowHeight + (opened >= 0 && i > opened ? gap : 0)
    visible.push(
      <div
        key={i}
        role="button"
        aria-expanded={i === opened}
        class={'row kind-' + r.kind + (i === at ? ' at' : '')}
        style={{ transform: `translateY(${y}px)` }}
        onClick={() => {
          onAt(i)
          onOpen(i === opened ? '' : name)
        }}
      >
        <span class="word">{kindWords[r.kind]}</span>
        <bdi dir="ltr" class="path">
          {r.path}
        </bdi>
        <bdi dir="ltr" class="note">
          {r.note}
        </bdi>
      </div>,
    )
  }
  const expanded = rows[opened]
  return (
    <main ref={box} id="list" tabIndex={0} onScroll={(e) => setTop(e.currentTarget.scrollTop)}>
      <div class="space" style={{ height: `${rows.length * rowHeight + gap}px` }}>
        <div>{visible}</div>
        <div>
          {expanded && (
            <Details key={rowName(expanded)} row={expanded} y={(opened + 1) * rowHeight} onHeight={setExtra} />
          )}
        </div>
      </div>
    </main>
  )
}

function Details({ row, y, onHeight }: { row: Row; y: number; onHeight: (h: number) => void }) {
  const [fields, setFields] = useState<Field[]>()
  const el = useRef<HTMLDivElement>(null)
  useEffect(() => {
    let gone = false
    void readFields(row).then((f) => {
      if (!gone) setFields(f)
    })
    return () => {
      gone = true
    }
  }, [row])
  useLayoutEffect(() => {
    if (!el.current) return
    const node = el.current
    const size = new ResizeObserver(() => onHeight(node.offsetHeight))
    size.observe(node)
    return () => size.disconnect()
  }, [])
  return (
    <div ref={el} class="details" style={{ transform: `translateY(${y}px)` }}>
      {fields?.length === 0 && <p>nothing more is known</p>}
      {fields && fields.length > 0 && (
        <table>
          <tbody>
            {fields.map(([name, before, after], i) => (
              <tr key={i}>
                <th>{name}</th>
                <td class="before">
                  <Text value={before} sign="−" />
                </td>
                <td class="after">
                  <Text value={after} sign="+" />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  )
}

function Text({ value, sign }: { value: string | string[]; sign: string }) {
  if (!Array.isArray(value)) return <bdi dir="ltr">{value}</bdi>
  return (
    <ul>
      {value.map((v, i) => (
        <li key={i}>
          {sign} <bdi dir="ltr">{v}</bdi>
        </li>
      ))}
    </ul>
  )
}

const app = document.getElementById('app')
if (app) {
  void readRows().then((rows) => {
    app.replaceChildren() // what is shown without a script
    render(<Page header={readHeader()} rows={rows} />, app)
    // Tests and readers of the timeline see when the list is there.
    performance.mark('mullion-ready')
    app.dataset.ready = String(rows.length)
  })
}
