// Findings: search, filter, keys, detail, accepting one and many, undo, export.
import { must } from './harness.mjs';

const rows = (page) => page.locator('tbody tr.link');

const HEAD = '.top header [role=status]';
const clean = (text) => text.replace(/\s+/g, ' ').trim();

async function head(page) {
  return clean(await page.locator(HEAD).innerText());
}

/** Waits until the head says something, or no longer says it. */
async function until(page, text, same) {
  for (let i = 0; i < 60; i++) {
    if (((await head(page)) === text) === same) return;
    await page.waitForTimeout(100);
  }
  throw new Error(`the head says “${await head(page)}”, ${same ? 'not' : 'still'} “${text}”`);
}

export async function findings(h) {
  const { page } = h;
  let key = '';
  let title = '';

  await h.step('findings in both themes, and at 1024', async () => {
    await h.open('/findings', 'tbody tr.link');
    await h.inBothThemes('findings');
    await page.setViewportSize({ width: 1024, height: 768 });
    await h.noOverflow('findings at 1024');
    await h.shot('findings-1024');
    await page.setViewportSize({ width: 1440, height: 900 });
  });

  await h.step('filter by severity and search; the address holds it; Back undoes it', async () => {
    const all = await head(page);
    await page.getByRole('button', { name: /^High/ }).click();
    await page.waitForURL(/severity=high/);
    await until(page, all, false);
    // The head changes with the address, the rows with the answer.
    await h.settled();
    await page.locator('.stale').waitFor({ state: 'detached' });
    const high = await rows(page).locator('td.severity').allInnerTexts();
    must(high.length > 0 && high.every((text) => text.trim() === 'High'), `severities shown: ${[...new Set(high)]}`);
    const word = (await rows(page).first().locator('.name').innerText()).split(/\s+/).find((w) => w.length > 4) ?? 'container';
    await page.keyboard.press('/');
    await page.keyboard.type(word);
    await page.waitForURL(new RegExp(`q=${encodeURIComponent(word)}`));
    await page.waitForTimeout(200);
    await h.settled();
    await page.locator('.stale').waitFor({ state: 'detached' });
    const found = await head(page);
    await page.reload();
    await rows(page).first().waitFor();
    must((await page.getByLabel('Search findings').inputValue()) === word, 'the search is gone after a reload');
    await until(page, found, true);
    await page.goBack();
    await page.waitForFunction(() => !location.search.includes('q='));
    await page.goBack();
    await page.waitForFunction(() => !location.search.includes('severity='));
    await until(page, all, true);
  });

  await h.step('each order answers, and says so in the head', async () => {
    for (const [sort, column] of [['changed', 'changed'], ['first_seen', 'first_seen'], ['check', 'check'], ['asset', 'asset'], ['severity', 'severity']]) {
      await h.open(`/findings?sort=${sort}`, 'tbody tr.link');
      must((await page.locator(`th.${column}[aria-sort]`).count()) === 1, `no column shows the order ${sort}`);
    }
  });

  await h.step('keyboard: j and k move, x selects, Enter opens, Escape closes', async () => {
    await h.open('/findings', 'tbody tr.link');
    await page.locator('main h1').click();
    for (const one of ['j', 'j', 'k', 'x']) await page.keyboard.press(one);
    must(await page.getByText('1 selected').isVisible(), 'x selects nothing');
    await page.keyboard.press('x');
    title = await rows(page).nth(1).locator('.name').innerText();
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/findings\/f1-/);
    await page.locator('aside article').waitFor();
    must((await page.locator('aside article h2').innerText()) === title, 'another finding was opened');
    key = new URL(page.url()).pathname.split('/').pop();
    await page.keyboard.press('Escape');
    await page.waitForURL((url) => url.pathname === '/findings');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
    await h.axe('keyboard help');
    await h.shot('keyboard-help');
    await page.keyboard.press('Escape');
  });

  await h.step('a finding shows why, where, how to fix, controls and history', async () => {
    await h.open(`/findings/${key}`, 'aside article');
    for (const part of ['Why', 'How to put it right', 'History']) must((await page.locator('aside h3', { hasText: part }).count()) >= 1, `no part “${part}”`);
    must(/:\d+/.test(await page.locator('aside dl.facts').innerText()), 'no file and line');
    must((await page.locator('aside .history li').count()) >= 1, 'no history');
    await h.inBothThemes('finding');
    await page.getByRole('link', { name: 'Open as a page' }).click();
    await page.getByRole('heading', { name: 'Finding', level: 1 }).waitFor();
    await h.inBothThemes('finding-page');
    await page.goBack();
  });

  await h.step('accept it with reason, owner and expiry; the dialog says how many rows', async () => {
    await h.open(`/findings/${key}`, 'aside article');
    await page.locator('aside').getByRole('button', { name: 'Accept…' }).click();
    const dialog = page.getByRole('dialog');
    must(await dialog.getByText('1 row', { exact: true }).isVisible(), 'the dialog does not say how many rows');
    await dialog.getByRole('button', { name: 'Accept 1 finding' }).click();
    must(await dialog.getByText('Say why').isVisible(), 'an empty reason goes unnoticed');
    await dialog.getByLabel('Reason').fill('Moves to the mesh in the next quarter; ticket SHOP-118.');
    await dialog.getByLabel('Owner').fill('platform-team');
    await dialog.getByRole('button', { name: '30 days' }).click();
    await h.inBothThemes('accept');
    await dialog.getByRole('button', { name: 'Accept 1 finding' }).click();
    await h.toast().getByText('1 finding accepted.').waitFor();
    await page.locator('aside').getByText('Accepted by platform-team').waitFor();
    must((await page.locator('aside .history').innerText()).includes('SHOP-118'), 'the history lacks the reason');
    await h.open('/findings?status=accepted', 'tbody tr.link');
    must((await page.locator(`tbody a[href*="${key}"]`).count()) === 1, 'it is not among the accepted');
  });

  await h.step('prove the acceptance from the finding’s history, in the browser', async () => {
    for (let i = 0; i < 20; i++) {
      await h.open(`/findings/${key}`, 'aside article');
      if ((await page.locator('aside .history li').first().getByText('Prove').count()) > 0) break;
      await page.waitForTimeout(700);
    }
    await page.locator('aside .history li').first().getByRole('link', { name: 'Prove' }).click();
    await page.waitForURL(/\/audit\//);
    await page.locator('.proof h3', { hasText: /^Proven$/ }).waitFor();
    const claims = await page.locator('.claims .mark').allInnerTexts();
    must(claims.length === 4 && claims.every((text) => text.trim() === 'Holds'), `claims: ${claims}`);
    must((await page.locator('aside').innerText()).includes('Finding accepted'), 'it is another entry');
  });

  await h.step('bulk: select two, rule them out, undo', async () => {
    await h.open('/findings', 'tbody tr.link');
    const boxes = page.locator('tbody tr.link input[type=checkbox]');
    await boxes.nth(0).click();
    await boxes.nth(1).click();
    await page.getByText('2 selected').waitFor();
    await h.axe('bulk bar');
    await h.shot('findings-bulk');
    await page.getByRole('region', { name: 'Selected findings' }).getByRole('button', { name: 'False positive…' }).click();
    const dialog = page.getByRole('dialog');
    must(await dialog.getByText('2 rows', { exact: true }).isVisible(), 'the dialog does not say how many rows');
    await dialog.getByLabel('Reason').fill('The admission controller sets it later.');
    await dialog.getByRole('button', { name: 'Rule false positive 2 findings' }).click();
    await h.toast().getByText('2 findings ruled false positive.').waitFor();
    await h.toast().getByRole('button', { name: 'Undo' }).last().click();
    await h.toast().getByText('2 findings open again.').waitFor();
  });

  await h.step('reopen what was accepted', async () => {
    await h.open(`/findings/${key}`, 'aside article');
    await page.locator('aside').getByRole('button', { name: 'Reopen…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason').fill('Done with the test.');
    await dialog.getByRole('button', { name: 'Reopen 1 finding' }).click();
    await h.toast().getByText('1 finding reopened.').waitFor();
    await page.locator('aside').getByRole('button', { name: 'Accept…' }).waitFor();
  });

  await h.step('export gives the rows of the filter as CSV and JSON', async () => {
    await h.open('/findings?severity=high', 'tbody tr.link');
    const wanted = Number((await head(page)).match(/^[\d,]+/)?.[0].replace(',', ''));
    await page.getByRole('button', { name: 'Export' }).click();
    const link = await page.getByRole('link', { name: 'CSV' }).getAttribute('href');
    const csv = await page.request.get(h.base + link);
    must(csv.ok() && csv.headers()['content-type'].includes('csv'), `CSV: ${csv.status()} ${csv.headers()['content-type']}`);
    const lines = (await csv.text()).trim().split(/\r?\n(?=f1-|[^\n]*f1-)/).length - 1;
    must(lines >= wanted, `${lines} lines of CSV for ${wanted} findings`);
    const json = await page.request.get(h.base + link.replace('csv', 'json'));
    must(json.ok() && (await json.text()).split('"f1-').length - 1 >= wanted, 'the JSON lacks findings');
    await page.keyboard.press('Escape');
  });

  await h.step('results: what could not be told, and why', async () => {
    await h.open('/results');
    await h.inBothThemes('results');
    const unknown = await page.locator('tbody tr').count();
    if (unknown === 0) must(await page.getByText('Everything could be told').isVisible(), 'neither unknown results nor a word about it');
    else must((await page.locator('tbody tr').first().innerText()).includes('Unknown'), 'other outcomes among the unknown');
    await page.getByRole('link', { name: /^Pass/ }).click();
    await page.locator('tbody tr').first().getByText('Pass').waitFor();
  });

  await h.step('checks: find one, see its outcomes, go to its findings', async () => {
    await h.open('/checks', 'tbody tr');
    await h.inBothThemes('checks');
    await page.getByRole('link', { name: /^Failing/ }).click();
    await page.locator('tbody tr td.name a').first().click();
    await page.locator('aside article').waitFor();
    await h.inBothThemes('check');
    await page.reload();
    await page.locator('aside article').waitFor();
    await page.locator('aside').getByRole('link', { name: 'Findings of this check' }).click();
    await rows(page).first().waitFor();
    must(page.url().includes('check='), 'the filter is not in the address');
  });
}
