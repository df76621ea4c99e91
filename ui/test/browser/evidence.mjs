// Frameworks down to a control and its assessment; attestations; the audit trail.
import { must } from './harness.mjs';

export async function evidence(h) {
  const { page } = h;

  await h.step('frameworks with score and coverage', async () => {
    await h.open('/frameworks', 'main li');
    must((await page.locator('main li').count()) >= 3, 'fewer than three frameworks');
    await h.inBothThemes('frameworks');
  });

  // Which one has a failed control depends on the scope that was scanned last.
  let failing = '';
  await h.step('a framework: filter by status, fold a group', async () => {
    failing = await frameworkWithFailures(h);
    await page.locator(`main li h2 a[href^="/frameworks/${failing}"]`).click();
    await page.locator('tbody tr.link').first().waitFor();
    await h.settled();
    await page.waitForTimeout(300);
    await h.inBothThemes('framework');
    const all = await page.locator('tbody tr.link').count();
    await page.getByRole('group', { name: 'Status' }).getByRole('link', { name: /^Failed/ }).click();
    await page.waitForURL(/status=failed/);
    const failed = await page.locator('tbody tr.link').count();
    must(failed > 0 && failed <= all, `${failed} failed of ${all}`);
    must((await page.locator('tbody tr.link .mark').allInnerTexts()).every((text) => text.trim() === 'Failed'), 'others among the failed');
    const group = page.locator('tr.group button').first();
    await group.click();
    must((await page.locator('tbody tr.link').count()) < failed, 'folding hides nothing');
    await group.click();
  });

  await h.step('a failed control: its checks lead to findings', async () => {
    await h.open(`/frameworks/${failing}?status=failed`, 'tbody tr.link');
    await page.locator('tbody tr.link td.id a').first().click();
    await page.getByRole('heading', { name: 'Checks', level: 2 }).waitFor();
    await h.settled();
    await h.inBothThemes('control');
    await page.locator('td.num a.fail').first().click();
    await page.locator('tbody tr.link').first().waitFor();
    must(/control=/.test(page.url()) && /framework=/.test(page.url()), 'the findings are not of this control');
  });

  await h.step('assess a manual control with evidence and an end', async () => {
    let found = false;
    for (const id of await frameworkIds(h)) {
      await h.open(`/frameworks/${id}?status=manual`, 'main .controls');
      if ((await page.locator('tbody tr.link').count()) > 0) { found = true; break; }
    }
    must(found, 'no framework has a manual control');
    await page.locator('tbody tr.link td.id a').first().click();
    await page.getByRole('button', { name: 'Assess by hand…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Record assessment' }).click();
    must(await dialog.getByText('Say what you looked at').isVisible(), 'an empty reason goes unnoticed');
    await dialog.getByLabel('Reason').fill('Read the procedure of October and sampled three tickets; all followed it.');
    await dialog.getByLabel('Evidence').setInputFiles({ name: 'sample.txt', mimeType: 'text/plain', buffer: Buffer.from(`ticket 1 ok\nticket 2 ok\n${Date.now()}`) });
    await dialog.getByText('sample.txt').waitFor();
    await h.inBothThemes('assess');
    await dialog.getByRole('button', { name: 'Record assessment' }).click();
    await page.locator('.assessments').getByText('sampled three tickets').waitFor();
    await page.locator('.verdict .mark', { hasText: 'Passed' }).waitFor();
    const file = page.locator('.assessments a[download]').first();
    const got = await page.request.get(h.base + (await file.getAttribute('href')));
    must(got.ok() && (await got.text()).includes('ticket 1 ok'), 'the evidence cannot be read back');
    await h.inBothThemes('control-manual');
  });

  let token = '';
  await h.step('issue an attestation', async () => {
    await h.open('/attestations');
    await page.getByRole('link', { name: 'Issue attestation' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText(/[\d.]+% score/).waitFor();
    await h.inBothThemes('issue');
    await dialog.getByLabel('Valid for (days)').fill('900');
    must(await dialog.getByRole('button', { name: 'Sign and issue' }).isDisabled(), '900 days are taken');
    await dialog.getByLabel('Valid for (days)').fill('30');
    await dialog.getByLabel('Signature').selectOption('ES256');
    await dialog.getByRole('button', { name: 'Sign and issue' }).click();
    await page.locator('aside article .token').waitFor({ timeout: 20_000 });
    await h.settled();
    await h.inBothThemes('attestation');
    const href = await page.locator('aside').getByRole('link', { name: 'Token', exact: true }).getAttribute('href');
    const got = await page.request.get(h.base + href);
    token = (await got.text()).trim();
    must(got.ok() && token.split('.').length === 3, 'the download is no token');
    const keys = await page.request.get(`${h.base}/api/v1/jwks`);
    must((await keys.json()).keys.length >= 3, 'the key set has too few keys');
  });

  await h.step('verify it in the page: paste, and drop a file', async () => {
    await page.locator('aside').getByRole('link', { name: 'Verify in this page' }).click();
    await page.getByRole('heading', { name: 'Valid', exact: true }).waitFor();
    await h.open('/attestations/verify');
    await h.inBothThemes('verify-empty');
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Verify', exact: true }).click();
    await page.getByRole('heading', { name: 'Valid', exact: true }).waitFor();
    must((await page.locator('.verdict li').count()) >= 3, 'too few checks are shown');
    await h.inBothThemes('verify');
    await page.getByRole('button', { name: 'Clear' }).click();
    await page.locator('input[type=file]').setInputFiles({ name: 'a.jwt', mimeType: 'application/jwt', buffer: Buffer.from(token) });
    await page.getByRole('heading', { name: 'Valid', exact: true }).waitFor();
  });

  await h.step('an altered token is refused, and the check that fails is named', async () => {
    const [head, claims, signature] = token.split('.');
    const other = claims.slice(0, 20) + (claims[20] === 'A' ? 'B' : 'A') + claims.slice(21);
    await page.getByLabel('Token').fill(`${head}.${other}.${signature}`);
    await page.getByRole('button', { name: 'Verify', exact: true }).click();
    await page.getByRole('heading', { name: 'Not valid' }).waitFor();
    must((await page.locator('.verdict li', { hasText: 'Does not hold' }).count()) >= 1, 'no check is named');
    await h.inBothThemes('verify-refused');
  });

  await h.step('audit trail: search, filter, prove an entry in the browser', async () => {
    await h.open('/audit', 'tbody tr.link');
    await h.inBothThemes('audit');
    await page.getByRole('button', { name: 'Filter by action' }).click();
    await page.getByRole('textbox', { name: 'Action' }).fill('attestation');
    await page.keyboard.press('Enter');
    await page.waitForURL(/action=attestation\.issued/);
    await page.locator('tbody tr.link').first().getByText('Attestation issued').waitFor();
    must((await page.locator('tbody tr.link td:nth-child(3)').allInnerTexts()).every((text) => text.trim() === 'Attestation issued'), 'other actions are shown');
    await page.locator('tbody tr.link td:nth-child(3) a').first().click();
    await page.locator('.proof h3', { hasText: /^Proven$/ }).waitFor();
    await h.settled();
    must((await page.locator('.path li').count()) >= 2, 'no inclusion path');
    must((await page.locator('pre[aria-label=Checkpoint]').innerText()).includes('\u2014 '), 'no signed checkpoint');
    await h.inBothThemes('audit-proof');
    await page.setViewportSize({ width: 1024, height: 768 });
    await h.noOverflow('audit at 1024');
    await h.shot('audit-1024');
    await page.setViewportSize({ width: 1440, height: 900 });
    const proof = await page.request.get(h.base + (await page.getByRole('link', { name: 'tlog-proof' }).getAttribute('href')));
    must(proof.ok() && (await proof.text()).startsWith('c2sp.org/tlog-proof'), 'the download is no tlog-proof');
    await page.getByLabel('Search the audit trail').fill('SHOP-118');
    await page.waitForURL(/q=SHOP-118/);
    await page.getByRole('link', { name: 'Clear all' }).click();
    await page.waitForURL((url) => !url.search.includes('action='));
  });
}

async function frameworkIds(h) {
  const answer = await h.page.request.get(`${h.base}/api/v1/frameworks`);
  return (await answer.json()).items.map((one) => one.id);
}

async function frameworkWithFailures(h) {
  const ids = await frameworkIds(h);
  for (const id of ids) {
    const answer = await h.page.request.get(`${h.base}/api/v1/frameworks/${id}`);
    if ((await answer.json()).counts.failed > 0) return id;
  }
  throw new Error(`no framework has a failed control: ${ids}`);
}
