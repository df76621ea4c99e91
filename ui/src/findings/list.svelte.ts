// The findings that a filter gives, page by page, with what is selected among them.
import { change, get } from '../api/client';
import type { ActionAnswer, Finding, FindingPage, Total } from '../api/types';
import { asProblem } from '../state/resource.svelte';
import type { Problem } from '../api/client';
import type { Search } from '../route/table';

const PAGE = 100;
/** The most keys that one action takes. */
export const MOST_KEYS = 1000;
export type Action = 'accept' | 'false_positive' | 'reopen';
export interface Decision {
  action: Action;
  reason: string;
  owner?: string;
  expires?: string;
}

export class FindingList {
  items = $state.raw<Finding[]>([]);
  total = $state.raw<Total | null>(null);
  searchCapped = $state(false);
  searchLimit = $state(0);
  loading = $state(false);
  /** Whether the first page of the present filter is here. */
  ready = $state(false);
  error = $state.raw<Problem>();
  selected = $state.raw<ReadonlySet<string>>(new Set());
  #query: Search = {};
  #next: string | null = null;
  #abort: AbortController | undefined;

  get more(): boolean {
    return this.#next !== null;
  }

  /** Begins anew with another filter. Old rows stay, dimmed, until the answer. */
  async open(query: Search): Promise<void> {
    this.#query = query;
    this.#next = null;
    this.selected = new Set();
    await this.#load(true);
  }

  async loadMore(): Promise<void> {
    if (this.loading || this.#next === null) return;
    await this.#load(false);
  }

  async renew(): Promise<void> {
    await this.#load(true);
  }

  stop(): void {
    this.#abort?.abort();
  }

  toggle(key: string, range?: string): void {
    const next = new Set(this.selected);
    const keys = this.items.map((item) => item.key);
    const [a, b] = [keys.indexOf(key), range === undefined ? -1 : keys.indexOf(range)];
    if (a >= 0 && b >= 0) for (const one of keys.slice(Math.min(a, b), Math.max(a, b) + 1)) next.add(one);
    else if (!next.delete(key)) next.add(key);
    this.selected = next;
  }

  selectLoaded(all: boolean): void {
    this.selected = new Set(all ? this.items.slice(0, MOST_KEYS).map((item) => item.key) : []);
  }

  /** Selects what matches, also beyond what is loaded, up to what one action takes. */
  async selectMatching(): Promise<void> {
    const keys = new Set(this.items.map((item) => item.key));
    let cursor = this.#next;
    while (cursor !== null && keys.size < MOST_KEYS) {
      const page: FindingPage = await get('/findings', { ...this.#query, limit: 200, cursor });
      for (const item of page.items) if (keys.size < MOST_KEYS) keys.add(item.key);
      cursor = page.next_cursor ?? null;
    }
    this.selected = keys;
  }

  async #load(first: boolean): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.loading = true;
    if (first) this.ready = false;
    try {
      const cursor = first ? undefined : (this.#next ?? undefined);
      const page = await get<FindingPage>('/findings', { ...this.#query, limit: PAGE, cursor }, abort.signal);
      if (abort.signal.aborted) return;
      this.items = first ? page.items : [...this.items, ...page.items];
      this.#next = page.next_cursor ?? null;
      this.total = page.total ?? this.total;
      this.searchCapped = page.search?.capped ?? false;
      this.searchLimit = page.search?.limit ?? 0;
      this.error = undefined;
      this.ready = true;
    } catch (error) {
      if (abort.signal.aborted) return;
      this.error = asProblem(error);
    } finally {
      if (this.#abort === abort) this.loading = false;
    }
  }
}

/** Applies one decision to findings; the server says what it refused. */
export async function decide(keys: string[], decision: Decision): Promise<ActionAnswer> {
  return change<ActionAnswer>('POST', '/findings/actions', { keys, ...decision });
}
