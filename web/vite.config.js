import { defineConfig } from 'vite'

// The page of "diff --html": one script and one style sheet, which package diffpage embeds
// and puts into each page.
export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../internal/diffpage/dist',
    emptyOutDir: true,
    target: 'es2022',
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: 'src/diff.tsx',
      output: {
        format: 'iife',
        entryFileNames: 'diff.js',
        assetFileNames: 'diff[extname]',
      },
    },
  },
})
