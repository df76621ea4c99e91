// This tenant's vulnerabilities by CVE, by asset and by fix; an inventory looked through,
// downloaded and compared; a tenant with nothing, and a long list.
import { readFileSync, writeFileSync } from 'node:fs';
import { enter } from './sign-in.mjs';
import { must } from './harness.mjs';

const NARROW = { width: 390, height: 844 };
const WIDE = { width: 1440, height: 900 };

/** In both themes and on a phone: axe, no overflow, pictures. */
async function everywhere(h, name) {
  await h.inBothThemes(name);
  await h.page.setViewportSize(NARROW);
  await h.noOverflow(name);
  await h.theme('dark');
  await h.axe(`${name}, narrow`);
  await h.shot(`${name}-phone-dark`);
  await h.theme('light');
  await h.page.setViewportSize(WIDE);
}

export async function inventories(h, person) {
  const { page } = h;
  if (process.env.BARTIZAN_URL) return onServer(h);
  const rows = () => page.locator('tbody tr.link');
  const region = (name) => page.getByRole('region', { name });

  await h.step('by CVE: what to do first comes first, with its reasons', async () => {
    await h.open('/vulnerabilities', 'tbody tr.link');
    const first = await rows().first().innerText();
    must(/Act now[\s\S]*CVE-2021-44228[\s\S]*exploited/.test(first), first);
    await everywhere(h, 'vulnerabilities');
    await page.getByRole('button', { name: /^Medium/ }).click();
    await page.waitForURL(/severity=medium/);
    await page.waitForFunction(() => document.querySelectorAll('tbody tr.link').length === 3);
    await page.getByRole('button', { name: /^Track \d/ }).click();
    await page.waitForURL(/level=track/);
    await page.goBack();
    must(!page.url().includes('level='), 'Back does not undo a filter');
    await h.open('/vulnerabilities?sort=findings', 'tbody tr.link');
    const counts = (await page.locator('tbody .open strong').allInnerTexts()).map(Number);
    must(counts.length > 3 && counts.every((n, i) => i === 0 || counts[i - 1] >= n), `not by findings: ${counts}`);
    await h.open('/vulnerabilities?q=gnutls', 'tbody tr.link');
    await rows().getByText('4 accepted').waitFor();
  });

  await h.step('rows are walked and opened by keys', async () => {
    await h.open('/vulnerabilities', 'tbody tr.link');
    await page.locator('main h1').focus();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('k');
    must((await page.evaluate(() => document.activeElement?.textContent ?? '')).startsWith('CVE-2021-44228'), 'the focus is elsewhere');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/vulnerabilities\/CVE-2021-44228\//);
    await page.goBack();
    await rows().first().waitFor();
    await page.locator('main h1').focus();
    await page.keyboard.press('/');
    await page.keyboard.type('regre');
    await page.waitForURL(/q=regre/);
    await page.waitForFunction(() => document.querySelectorAll('tbody tr.link').length === 1);
  });

  await h.step('by fix: one upgrade says what it closes, and where', async () => {
    await h.open('/vulnerabilities?by=fix', 'tbody tr.link');
    await everywhere(h, 'vulnerabilities-by-fix');
    await page.getByRole('link', { name: /^org\.apache\.logging/ }).click();
    const panel = page.locator('aside article');
    await panel.getByText('This one upgrade closes 3 findings on 3 assets.').waitFor();
    await panel.getByRole('link', { name: /checkout:2\.14\.0/ }).waitFor();
    must(page.url().includes('fix='), 'the panel has no address');
    await everywhere(h, 'vulnerability-fix');
    await page.getByRole('button', { name: 'Next' }).click();
    await panel.getByRole('heading', { name: /netty|nginx/ }).waitFor();
    await page.keyboard.press('Escape');
    await panel.waitFor({ state: 'detached' });
  });

  await h.step('by asset: the worst first; what was not read is unknown', async () => {
    await h.open('/vulnerabilities?by=asset', 'tbody tr.link');
    must(/checkout|web:5\.0\.3/.test(await rows().first().innerText()), 'the worst is not first');
    must((await page.locator('tbody').getByText(/unread/).count()) === 2, 'unread parts');
    await everywhere(h, 'vulnerabilities-by-asset');
    await page.getByRole('link', { name: 'registry.example.com/shop/web:5.1.0', exact: true }).click();
    await region('Components').waitFor();
  });

  await h.step('an inventory is searched, filtered and looked into', async () => {
    await everywhere(h, 'inventory');
    await page.getByRole('link', { name: /^Vulnerable or unknown/ }).click();
    await page.waitForURL(/vulnerable=true/);
    await page.waitForFunction(() => document.querySelectorAll('tbody tr.link').length === 6);
    await page.getByRole('button', { name: 'Filter by ecosystem' }).click();
    await page.getByRole('button', { name: /^npm/ }).click();
    await page.waitForFunction(() => document.querySelectorAll('tbody tr.link').length === 2);
    await rows().getByText('1 unknown').waitFor();
    await page.getByRole('link', { name: 'semver latest' }).click();
    const panel = page.locator('aside article');
    await panel.getByText('has no place in the order').waitFor();
    await panel.getByRole('link', { name: /web:5\.0\.3/ }).waitFor();
    await everywhere(h, 'component');
    // An address of a component opens it also where the list does not show it.
    await page.goto(page.url().replace('ecosystem=npm', 'ecosystem=Debian%3A12'));
    await panel.getByText('pkg:npm/semver@latest', { exact: true }).waitFor();
    await h.open('/vulnerabilities?by=asset', 'tbody tr.link');
    await page.getByRole('link', { name: /checkout/ }).first().click();
    await page.getByRole('link', { name: '2 parts unread' }).click();
    await page.locator('aside').getByText('it is encrypted').waitFor();
    await everywhere(h, 'inventory-unread');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Download' }).click();
    for (const [name, said] of [['CycloneDX 1.6', '"bomFormat"'], ['SPDX 2.3', 'SPDX-2.3']]) {
      if (!(await page.getByRole('link', { name }).isVisible())) await page.getByRole('button', { name: 'Download' }).click();
      const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name }).click()]);
      must(readFileSync(await file.path(), 'utf8').includes(said), `${name} is something else`);
    }
  });

  await h.step('a long inventory comes in pages', async () => {
    await h.open('/vulnerabilities?by=asset&q=build-7', 'tbody tr.link');
    await page.getByRole('link', { name: 'build-7', exact: true }).click();
    await region('Components').waitFor();
    must((await rows().count()) === 100, 'the first page is not 100');
    for (let n = 200; n < 700; n += 100) {
      await page.getByRole('button', { name: 'Show more' }).click();
      await page.waitForFunction((wanted) => document.querySelectorAll('tbody tr.link').length >= Math.min(wanted, 643), n);
    }
    await page.getByRole('button', { name: 'Show more' }).click();
    await page.getByText('643 shown, that is all.').waitFor();
    await h.axe('a long inventory');
    await h.noOverflow('a long inventory');
    await page.getByRole('button', { name: 'Filter by licence' }).click();
    await page.getByRole('button', { name: /^BSD-3-Clause/ }).click();
    await page.getByText('160 match').waitFor();
  });

  await h.step('two inventories are compared, and one with a file', async () => {
    await h.open('/vulnerabilities?by=asset&q=web:5', 'tbody tr.link');
    await page.getByRole('link', { name: /web:5\.1\.0/ }).first().click();
    await page.getByRole('link', { name: 'Compare' }).click();
    await page.getByText('only its newest inventory is kept').waitFor();
    await h.axe('comparison, nothing chosen');
    await page.getByRole('button', { name: 'Before: choose an asset' }).click();
    await page.getByLabel('Search assets for Before').fill('5.0.3');
    await page.getByRole('button', { name: /web:5\.0\.3/ }).click();
    await region('Differences').waitFor();
    must(/before=/.test(page.url()) && /after=/.test(page.url()), page.url());
    must(/left-pad[\s\S]*Added/.test(await region('Differences').innerText()), await region('Differences').innerText());
    await everywhere(h, 'comparison');
    await page.getByRole('button', { name: 'Swap the two' }).click();
    await page.waitForFunction(() => /left-pad[\s\S]*Removed/.test(document.querySelector('main')?.innerText ?? ''));
    await page.getByRole('button', { name: 'Swap the two' }).click();
    const file = '/tmp/bartizan-browser-sbom.json';
    writeFileSync(file, JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.6', metadata: { component: { name: 'web of last month' } } }));
    await page.getByLabel('A bill of materials').setInputFiles(file);
    await page.getByText('web of last month').waitFor();
    await h.axe('comparison with a file');
    writeFileSync(file, 'no bill');
    h.refusals = true;
    await page.getByRole('button', { name: /^Take .* away$/ }).click();
    await page.getByLabel('A bill of materials').setInputFiles(file);
    await page.getByRole('alert').getByText('does not read').waitFor();
    await h.axe('comparison with what is no bill');
    h.refusals = false;
  });

  await h.step('an asset without an inventory and a failing server say so', async () => {
    const before = h.trouble.length;
    await page.goto(`${h.base}/inventories/host%3Anone/`);
    await page.getByText('There is no inventory of this asset').waitFor();
    await h.axe('no inventory');
    await page.route('**/api/v1/vulnerabilities/present*', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ detail: 'The database is being moved. Try again in a minute.' }) }));
    await page.goto(`${h.base}/vulnerabilities`);
    await page.getByRole('alert').getByText('The database is being moved').waitFor();
    await h.axe('by CVE, failing');
    await page.unroute('**/api/v1/vulnerabilities/present*');
    await page.getByRole('button', { name: 'Try again' }).click();
    await rows().first().waitFor();
    // The browser's own notes of these answers are expected here.
    const unexpected = h.trouble.slice(before).filter((line) => !/404|503/.test(line));
    h.trouble.splice(before, h.trouble.length, ...unexpected);
  });

  await h.step('a tenant with nothing is told what to do', async () => {
    const { startMock } = await import('../../dev/mock.mjs');
    const { url, stop } = await startMock({ empty: true });
    const filled = h.base;
    h.base = url;
    h.refusals = true;
    await page.goto(`${url}/vulnerabilities`);
    await enter(page, 'admin', 'correct horse battery');
    for (const [query, text, command] of [['', 'No vulnerability in what you have', 'bartizan scan image'], ['?by=asset', 'No inventory yet', 'bartizan scan image'], ['?by=fix', 'No upgrade closes anything', ''], ['?by=known', 'No records yet', 'bartizan cve sync']]) {
      await h.open(`/vulnerabilities${query}`);
      await page.getByText(text).waitFor();
      if (command) must((await page.locator('.command code').innerText()).includes(command), 'no command');
      await h.inBothThemes(`empty-vulnerabilities${query.replace(/\W+/g, '-')}`);
    }
    h.base = filled;
    await stop();
    await page.goto(`${filled}/`);
    await enter(page, person.name, person.password);
    await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
    h.refusals = false;
  });
}

/** The same doors on a real server: handed in, looked through, compared, downloaded, taken away. */
async function onServer(h) {
  const { page } = h;
  const uid = (name) => `repository:browser//Sbom//${name}`;
  await h.step('inventories on the server: in, looked through, compared, downloaded', async () => {
    const session = await (await page.request.get(`${h.base}/api/v1/session`)).json();
    const headers = { 'x-csrf-token': session.csrf_token };
    const sent = { 'shop-1': [['left-pad', '1.3.0'], ['semver', '7.3.8']], 'shop-2': [['semver', '7.5.2'], ['leaf', '1.0.0']] };
    for (const [name, parts] of Object.entries(sent)) {
      const components = parts.map(([part, version]) => ({ purl: `pkg:npm/${part}@${version}`, ecosystem: 'npm', licences: ['ISC'], found: [{ path: '/package-lock.json' }], target: uid(name) }));
      const taken = await page.request.post(`${h.base}/api/v1/components`, { headers, data: { scope: 'repository:browser', source: 'browser', asset: { uid: uid(name), kind: 'Sbom', name, namespace: '' }, components, unread: name === 'shop-1' ? ['/vendor.jar: it is encrypted'] : [] } });
      must(taken.status() === 202, `not taken: ${taken.status()} ${await taken.text()}`);
    }
    await h.open('/vulnerabilities?by=asset&scope=repository%3Abrowser', 'tbody tr.link');
    must((await page.locator('tbody tr.link').count()) === 2, 'not two inventories');
    await h.inBothThemes('server-by-asset');
    await page.getByRole('link', { name: 'shop-1', exact: true }).click();
    await page.getByRole('region', { name: 'Components' }).getByText('left-pad').waitFor();
    await h.axe('inventory on the server');
    await page.getByRole('link', { name: '1 part unread' }).click();
    await page.locator('aside').getByText('it is encrypted').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('link', { name: /^semver/ }).click();
    await page.locator('aside article').getByRole('link', { name: 'shop-2' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Download' }).click();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'CycloneDX 1.6' }).click()]);
    const bill = await file.path();
    must(JSON.parse(readFileSync(bill, 'utf8')).components.length === 2, 'the bill has not two components');
    await page.goto(`${h.base}/inventories/compare?after=${encodeURIComponent(uid('shop-2'))}`);
    await page.getByLabel('A bill of materials').setInputFiles({ name: 'shop-1.cdx.json', mimeType: 'application/json', buffer: readFileSync(bill) });
    const differences = page.getByRole('region', { name: 'Differences' });
    await differences.waitFor();
    const said = await differences.innerText();
    must(/leaf[\s\S]*Added/.test(said) && /left-pad[\s\S]*Removed/.test(said) && /semver[\s\S]*Changed[\s\S]*7\.3\.8[\s\S]*7\.5\.2/.test(said), said);
    await h.inBothThemes('server-comparison');
    for (const [path, ready] of [['/vulnerabilities', '.empty'], ['/vulnerabilities?by=fix', '.empty']]) await h.open(path, ready);
  });
}
