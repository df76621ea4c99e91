// Builds the console into dist/: hashed files under assets/, no inline script or style.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: ['chrome123', 'firefox121', 'safari17.5'],
    // The polyfill would be an inline script, and inlined assets data: addresses; our CSP has neither.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    sourcemap: false,
    reportCompressedSize: true,
  },
  server: { proxy: { '/api': process.env.BARTIZAN_URL ?? 'http://127.0.0.1:8000' } },
  test: { include: ['test/unit/**/*.test.ts'], environment: 'node' },
});
