// A list that comes in pages by cursor: what is loaded, and more on demand.
import { untrack } from 'svelte';
import { get, type Query } from '../api/client';
import type { Problem } from '../api/client';
import type { Page, Total } from '../api/types';
import { asProblem } from './resource.svelte';

export class Paged<T> {
  items = $state.raw<T[]>([]);
  total = $state.raw<Total | null>(null);
  /** The first page as it came, with what it says about the whole list. */
  head = $state.raw<Page<T>>();
  error = $state.raw<Problem>();
  loading = $state(false);
  ready = $state(false);
  more = $state(false);
  #path = '';
  #query: Query = {};
  #next: string | null = null;
  #abort: AbortController | undefined;

  async open(path: string, query: Query): Promise<void> {
    this.#path = path;
    this.#query = query;
    await this.#load(true);
  }

  async renew(): Promise<void> {
    await this.#load(true);
  }

  async loadMore(): Promise<void> {
    if (!this.loading && this.#next !== null) await this.#load(false);
  }

  stop(): void {
    this.#abort?.abort();
  }

  async #load(first: boolean): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.loading = true;
    try {
      const cursor = first ? undefined : this.#next;
      const page = await get<Page<T>>(this.#path, { ...this.#query, cursor }, abort.signal);
      if (abort.signal.aborted) return;
      this.items = first ? page.items : [...this.items, ...page.items];
      if (first) this.head = page;
      this.#next = page.next_cursor ?? null;
      this.more = this.#next !== null;
      if (first || page.total) this.total = page.total ?? null;
      this.error = undefined;
      this.ready = true;
    } catch (error) {
      if (!abort.signal.aborted) this.error = asProblem(error);
    } finally {
      if (this.#abort === abort) this.loading = false;
    }
  }
}

/** A paged list that follows what `source` reads. */
export function paged<T>(source: () => [path: string, query: Query]): Paged<T> {
  const list = new Paged<T>();
  $effect(() => {
    const [path, query] = source();
    untrack(() => void list.open(path, query));
    return () => list.stop();
  });
  return list;
}
