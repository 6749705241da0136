// The data of a page: blocks of rows, each an index, which is read when the page opens, and
// the details, which are read when a row is expanded. Both are JSON, compressed with gzip, in
// base64.

/** One difference as the list shows it. */
export interface Row {
  /** a: added, r: removed, c: changed, n: renamed */
  kind: string
  /** f: file, k: registry, c: configuration */
  area: string
  path: string
  note: string
  /** the path and the note in lower case, for the search */
  text: string
  block: number
  index: number
}

/** A property with both sides, or what a list has lost and gained. */
export type Field = [name: string, before: string | string[], after: string | string[]]

interface Index {
  kinds: string
  areas: string
  /** the length of the part of each path that is that of the path before */
  same: number[]
  paths: string[]
  notes: string[]
}

export interface Header {
  a: string
  b: string
  summary: string
  /** how many rows the list holds */
  most: number
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64)
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

async function unpack<T>(element: Element): Promise<T> {
  const stream = new Blob([bytesOf(element.textContent ?? '')]).stream().pipeThrough(new DecompressionStream('gzip'))
  return JSON.parse(await new Response(stream).text()) as T
}

export function readHeader(): Header {
  return JSON.parse(document.getElementById('header')?.textContent ?? '{}') as Header
}

/** Reads the indexes of all blocks. */
export async function readRows(): Promise<Row[]> {
  const blocks = await Promise.all([...document.querySelectorAll('script.index')].map((e) => unpack<Index>(e)))
  const rows: Row[] = []
  blocks.forEach((b, block) => {
    let path = ''
    for (let index = 0; index < b.kinds.length; index++) {
      path = path.slice(0, b.same[index]) + b.paths[index]
      const note = b.notes[index] ?? ''
      rows.push({
        kind: b.kinds[index] ?? '',
        area: b.areas[index] ?? '',
        path,
        note,
        text: (path + '\n' + note).toLowerCase(),
        block,
        index,
      })
    }
  })
  return rows
}

let cached: { block: number; fields: Promise<Field[][]> } | undefined

/** Reads the details of a row. The last block is kept. */
export async function readFields(row: Row): Promise<Field[]> {
  if (cached?.block !== row.block) {
    const element = document.querySelectorAll('script.details')[row.block]
    if (!element) return []
    cached = { block: row.block, fields: unpack<Field[][]>(element) }
  }
  return (await cached.fields)[row.index] ?? []
}
