// The overview: the four questions, scores with coverage, numbers that lead to their rows.
import { gzipSync } from 'node:zlib';
import { must } from './harness.mjs';

const BUDGET = 80_000;

export async function overview(h) {
  const { page } = h;

  await h.step('first JavaScript within 80 kB gzip, no inline script or style', async () => {
    await h.settled();
    await page.waitForTimeout(500);
    h.loaded.clear();
    await h.open('/');
    const html = await (await page.request.get(`${h.base}/`)).text();
    must(!/<script(?![^>]*\bsrc=)/.test(html) && !/<style|style=|onload=/.test(html), 'index.html has inline code');
    const scripts = [...h.loaded].filter(([path]) => path.endsWith('.js'));
    // The chart comes after what can be read.
    const first = scripts.filter(([path]) => !/uPlot/i.test(path)).reduce((n, [, body]) => n + gzipSync(body).length, 0);
    must(first > 0 && first <= BUDGET, `${first} bytes of first JavaScript, ${BUDGET} allowed`);
    return `${(first / 1000).toFixed(1)} kB`;
  });

  await h.step('overview answers the four questions', async () => {
    const begun = Date.now();
    await page.reload();
    await page.locator('article svg[role=img]').first().waitFor();
    const took = Date.now() - begun;
    for (const question of ['Are we all right?', 'What changed?', 'What do I fix first?', 'Can I prove it?']) must((await page.getByRole('heading', { name: question }).count()) === 1, `no answer to: ${question}`);
    const gauges = await page.locator('article svg[role=img]').evaluateAll((all) => all.map((one) => one.getAttribute('aria-label')));
    must(gauges.length >= 3 && gauges.every((label) => /^Score [\d.]+%, coverage [\d.]+%$/.test(label)), `scores and coverages: ${gauges}`);
    await page.locator('.uplot canvas').waitFor({ state: 'attached', timeout: 5000 }).catch(async () => {
      must(await page.getByText('One scan so far').isVisible(), 'neither a chart nor the reason why there is none');
    });
    return `readable after ${took} ms`;
  });

  await h.step('the chart has its table', async () => {
    const button = page.getByRole('button', { name: 'Table' }).first();
    await button.click();
    must((await page.getByRole('region', { name: /as a table/ }).locator('tbody tr').count()) >= 1, 'the table is empty');
    await page.getByRole('button', { name: 'Chart' }).first().click();
  });

  await h.step('less motion: another theme is whole at once', async () => {
    for (const colorScheme of ['dark', 'light']) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      const under = await page.evaluate(() => document.getAnimations().filter((one) => one instanceof CSSTransition).length);
      must(under === 0, `${under} transitions under way in ${colorScheme}`);
    }
  });

  await h.step('overview in both themes, at 1024 and on a phone', async () => {
    await h.settled();
    await page.waitForTimeout(400);
    await h.inBothThemes('overview');
    await h.noOverflow('overview at 1440');
    await page.setViewportSize({ width: 1440, height: 1720 });
    await page.waitForTimeout(300);
    for (const scheme of ['light', 'dark']) {
      await h.theme(scheme);
      await h.shot(`overview-whole-${scheme}`);
    }
    for (const [name, width, height] of [['1024', 1024, 768], ['phone', 390, 844]]) {
      await page.setViewportSize({ width, height });
      await page.waitForTimeout(300);
      await h.noOverflow(`overview at ${name}`);
      for (const scheme of ['light', 'dark']) {
        await h.theme(scheme);
        await h.axe(`overview ${name} ${scheme}`);
        await h.shot(`overview-${name}-${scheme}`);
      }
    }
    await page.getByRole('button', { name: 'Menu', exact: true }).click();
    await page.getByRole('link', { name: 'Frameworks', exact: true }).waitFor();
    await h.shot('phone-menu-dark');
    await page.getByRole('button', { name: 'Menu', exact: true }).click();
    await h.theme('light');
    await page.setViewportSize({ width: 1440, height: 900 });
  });

  await h.step('a number leads to the rows that it counts', async () => {
    await h.open('/');
    const links = page.getByRole('link', { name: /^(Critical|High|Medium|Low) [\d,]+ findings$/ });
    const texts = await links.allInnerTexts();
    const at = texts.findIndex((text) => Number(text.match(/[\d,]+/)?.[0].replace(',', '')) > 0);
    must(at >= 0, `no severity has findings: ${texts}`);
    const wanted = texts[at].match(/[\d,]+/)[0];
    await links.nth(at).click();
    await page.getByRole('heading', { name: 'Findings', level: 1 }).waitFor();
    await page.getByRole('status').filter({ hasText: new RegExp(`^${wanted} findings? match`) }).waitFor({ timeout: 8000 });
  });
}
