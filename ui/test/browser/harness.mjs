// What the browser test stands on: a browser, watched for errors, and steps that are counted.
import { chromium } from 'playwright-core';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--force-color-profile=srgb'];
const WIDE = { width: 1440, height: 900 };

/** A wrong assumption, with what was seen. */
export function must(held, said) {
  if (!held) throw new Error(said);
}

export class Harness {
  passed = 0;
  failed = 0;
  trouble = [];
  loaded = new Map();

  constructor(base) {
    this.base = base;
    this.shots = process.env.SCREENSHOTS ?? '';
    if (this.shots) mkdirSync(this.shots, { recursive: true });
  }

  async start() {
    this.browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGUMENTS });
    this.context = await this.browser.newContext({ viewport: WIDE, colorScheme: 'light', reducedMotion: 'reduce', locale: 'en-GB', ignoreHTTPSErrors: true });
    this.page = await this.context.newPage();
    this.watch(this.page);
  }

  /** Console errors, CSP violations, page errors and requests elsewhere fail the run. */
  watch(page) {
    page.on('console', (message) => {
      const refused = /the server responded with a status of (400|401|422|403)/.test(message.text());
      // A browser reports every refusal; the test refuses on purpose where it signs in wrongly.
      if (message.type() === 'error' && !(refused && this.refusals)) this.trouble.push(`console: ${message.text()} ${message.location().url}`);
    });
    page.on('pageerror', (error) => this.trouble.push(`page: ${error.stack ?? error.message}`));
    page.on('request', (request) => {
      if (!request.url().startsWith(this.base) && !/^(data|blob|about):/.test(request.url())) this.trouble.push(`request to another site: ${request.url()}`);
    });
    page.on('response', async (response) => {
      if (/\.(js|css)$/.test(new URL(response.url()).pathname)) this.loaded.set(new URL(response.url()).pathname, await response.body().catch(() => Buffer.alloc(0)));
    });
  }

  async step(name, work) {
    const before = this.trouble.length;
    const begun = performance.now();
    try {
      const note = await work();
      must(this.trouble.length === before, this.trouble.slice(before).join('\n'));
      this.passed++;
      console.log(`ok   ${name} (${Math.round(performance.now() - begun)} ms)${note ? ` ${note}` : ''}`);
    } catch (error) {
      this.failed++;
      console.log(`FAIL ${name}\n     ${String(error.message).split('\n').slice(0, 12).join('\n     ')}`);
      const file = `/tmp/bartizan-failed-${this.failed}.png`;
      await this.page.screenshot({ path: file }).then(() => console.log(`     ${file}`)).catch(() => {});
      // The next step begins without this one's dialogs.
      for (let i = 0; i < 2; i++) await this.page.keyboard.press('Escape').catch(() => {});
    }
  }

  /** Opens an address and waits until its data is there. */
  async open(path, ready = 'main h1') {
    await this.page.goto(this.base + path);
    await this.page.locator(ready).first().waitFor();
    await this.settled();
  }

  async settled() {
    await this.page.waitForLoadState('networkidle').catch(() => {});
    await this.page.locator('.skeleton').first().waitFor({ state: 'detached', timeout: 10_000 });
  }

  async theme(scheme) {
    await this.page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    // Canvases draw themselves again with the other colours.
    await this.page.waitForTimeout(400);
  }

  async shot(name, options = {}) {
    if (!this.shots) return;
    await this.page.screenshot({ path: join(this.shots, `${name}.png`), ...options });
  }

  /** No violation of any rule that axe knows. */
  async axe(where) {
    await this.page.evaluate(AXE);
    const found = await this.page.evaluate(async () => {
      const result = await globalThis.axe.run(document, { resultTypes: ['violations'] });
      return result.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target.join(' ')} (${(n.any[0] ?? n.all[0] ?? n.none[0])?.message ?? ''})`).join('; ')}`);
    });
    must(found.length === 0, `axe on ${where}:\n${found.join('\n')}`);
  }

  /** In both themes: axe, and a picture. */
  async inBothThemes(name, focus) {
    for (const scheme of ['light', 'dark']) {
      await this.theme(scheme);
      await this.axe(`${name}, ${scheme}`);
      await this.shot(`${name}-${scheme}`);
    }
    await this.theme('light');
    return focus;
  }

  async noOverflow(where) {
    const over = await this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    must(over <= 0, `${where}: the page is ${over} px wider than the window`);
    const main = await this.page.evaluate(() => { const m = document.querySelector('main'); return m ? m.scrollWidth - m.clientWidth : 0; });
    must(main <= 0, `${where}: the content is ${main} px wider than its room`);
  }

  toast() {
    return this.page.locator('.toasts');
  }

  async stop() {
    await this.browser.close();
  }
}
