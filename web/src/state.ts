import type { Row } from './data'

/** What is shown. It is kept in the fragment of the address, so that a link leads to it. */
export interface State {
  kinds: string
  areas: string
  /** '' for all, a: only the first side has it, b: only the second, ab: both */
  side: string
  /** a path; rows at it or below it are shown */
  under: string
  query: string
  /** the path of the expanded row, with its area in front */
  open: string
}

export const allKinds = 'arcn'
export const allAreas = 'cfk'

export function parseState(fragment: string): State {
  const p = new URLSearchParams(fragment.replace(/^#/, ''))
  const letters = (name: string, all: string) =>
    p.has(name) ? [...all].filter((x) => p.get(name)?.includes(x)).join('') : all
  const side = p.get('side') ?? ''
  return {
    kinds: letters('kinds', allKinds),
    areas: letters('areas', allAreas),
    side: ['a', 'b', 'ab'].includes(side) ? side : '',
    under: p.get('under') ?? '',
    query: p.get('q') ?? '',
    open: p.get('open') ?? '',
  }
}

export function formatState(s: State): string {
  const p = new URLSearchParams()
  if (s.kinds !== allKinds) p.set('kinds', s.kinds)
  if (s.areas !== allAreas) p.set('areas', s.areas)
  if (s.side) p.set('side', s.side)
  if (s.under) p.set('under', s.under)
  if (s.query) p.set('q', s.query)
  if (s.open) p.set('open', s.open)
  const text = p.toString()
  return text ? '#' + text : '#'
}

/** The name of a row in the address. Values of a key have equal paths and other notes. */
export function rowName(r: Row): string {
  return r.area + r.kind + ':' + r.path
}

/** Returns the rows that are shown. */
export function filterRows(rows: Row[], s: State): Row[] {
  const words = s.query.toLowerCase().split(/\s+/).filter(Boolean)
  const under = s.under.toLowerCase().replaceAll('/', '\\').replace(/\\+$/, '')
  const sideKinds = { '': allKinds, a: 'r', b: 'a', ab: 'cn' }[s.side] ?? allKinds
  if (!words.length && !under && s.kinds === allKinds && s.areas === allAreas && !s.side) return rows
  return rows.filter(
    (r) =>
      s.kinds.includes(r.kind) &&
      s.areas.includes(r.area) &&
      sideKinds.includes(r.kind) &&
      (!under || (r.text.startsWith(under) && [undefined, '\\', '\n', ' '].includes(r.text[under.length]))) &&
      words.every((w) => r.text.includes(w)),
  )
}
