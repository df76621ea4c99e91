// Vulnerabilities by the world's word: found, filtered, looked into with their history; feeds that need attention.
import { must } from './harness.mjs';

export async function vulnerabilities(h) {
  const { page } = h;
  if (process.env.BARTIZAN_URL) return;

  await h.step('the list is filtered by what is exploited', async () => {
    await h.open('/vulnerabilities?by=known', 'tbody tr.link');
    const all = await page.locator('tbody tr.link').count();
    await h.axe('vulnerabilities known');
    await h.inBothThemes('vulnerabilities-known');
    await page.getByRole('link', { name: 'Exploited', exact: true }).click();
    await page.waitForURL(/kev=true/);
    await page.waitForFunction((n) => document.querySelectorAll('tbody tr.link').length < n, all);
    must((await page.locator('tbody tr.link').count()) === (await page.locator('tbody .badge.bad').count()), 'others among the exploited');
  });

  await h.step('one vulnerability: packages, reasons, what changed', async () => {
    await h.open('/vulnerabilities?by=known&q=xz', 'tbody tr.link');
    await page.getByRole('link', { name: 'CVE-2024-3094' }).click();
    await page.getByRole('region', { name: 'Packages' }).getByText('5.6.1+really5.4.5-1').waitFor();
    must((await page.locator('.reasons li').count()) >= 5, 'reasons');
    await page.locator('.history ins').first().waitFor();
    const here = page.getByRole('region', { name: 'Where you have it' });
    must(/build-7[\s\S]*liblzma5[\s\S]*\/var\/lib\/dpkg\/status[\s\S]*5\.6\.1\+really5\.4\.5-1/.test(await here.innerText()), `where it is: ${await here.innerText()}`);
    must((await here.locator('a[href*="/findings/f1-"]').count()) === 1, 'no way to the finding');
    await h.axe('vulnerability');
    await h.inBothThemes('vulnerability');
  });

  await h.step('feeds: failed and late ones come first', async () => {
    await h.open('/feeds', 'tbody tr');
    must(/alpine/.test(await page.locator('tbody tr').first().innerText()), 'the failed feed is not first');
    await page.getByText('2 feeds of 8 need attention').waitFor();
    await h.axe('feeds');
    await h.inBothThemes('feeds');
  });
}
