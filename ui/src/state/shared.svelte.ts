// What the frame around every page knows: scopes, ledger, frameworks. Loaded once, renewed
// when a page changed something.
import { get } from '../api/client';
import type { FrameworkRow, Items, Ledger, Scope } from '../api/types';
import { Resource } from './resource.svelte';

class Shared {
  scopes = new Resource<Scope[]>();
  frameworks = new Resource<FrameworkRow[]>();
  ledger = new Resource<Ledger>();
  #timer: ReturnType<typeof setInterval> | undefined;

  start(): void {
    void this.scopes.use(async (signal) => (await get<Items<Scope>>('/scopes', {}, signal)).items);
    void this.frameworks.use(async (signal) => (await get<Items<FrameworkRow>>('/frameworks', {}, signal)).items);
    void this.ledger.use((signal) => get<Ledger>('/ledger', {}, signal));
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      if (document.visibilityState === 'visible') void this.ledger.reload();
    }, 20_000);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** After a change that moves findings or the ledger. */
  renew(): void {
    void this.scopes.reload();
    void this.ledger.reload();
  }

  /** The scope that the server takes when none is named: the one scanned last. */
  get newestScope(): string {
    const scanned = (this.scopes.data ?? []).filter((scope) => !scope.archived && scope.last_scan);
    return scanned.toSorted((a, b) => (b.last_scan?.finished ?? '').localeCompare(a.last_scan?.finished ?? ''))[0]?.id ?? '';
  }

  frameworkTitle(id: string): string {
    return this.frameworks.data?.find((framework) => framework.id === id)?.title ?? id;
  }
}

export const shared = new Shared();
