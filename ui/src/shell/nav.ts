// The rail's entries; only what exists is shown.
import type { RouteName } from '../route/table';
import type { IconName } from '../ui/icons';

export interface Entry {
  route: RouteName;
  name: string;
  icon: IconName;
  /** Typed after `g`. */
  key: string;
  /** Routes that light this entry up. */
  also: RouteName[];
}
export interface Group {
  name: string;
  entries: Entry[];
}

export const NAV: Group[] = [
  {
    name: '',
    entries: [{ route: 'overview', name: 'Overview', icon: 'overview', key: 'o', also: [] }],
  },
  {
    name: 'Posture',
    entries: [
      { route: 'findings', name: 'Findings', icon: 'findings', key: 'f', also: ['finding'] },
      { route: 'results', name: 'Results', icon: 'results', key: 'r', also: [] },
      { route: 'checks', name: 'Checks', icon: 'checks', key: 'c', also: ['check'] },
    ],
  },
  {
    name: 'Software',
    entries: [
      { route: 'vulnerabilities', name: 'Vulnerabilities', icon: 'shield', key: 'v', also: ['vulnerability', 'inventory', 'comparison', 'feeds'] },
      { route: 'ask', name: 'Ask', icon: 'ask', key: 'q', also: [] },
    ],
  },
  {
    name: 'Admission',
    entries: [
      { route: 'decisions', name: 'Decisions', icon: 'cluster', key: 'd', also: [] },
      { route: 'policies', name: 'Policies', icon: 'key', key: 'p', also: ['policy', 'playground'] },
    ],
  },
  {
    name: 'Evidence',
    entries: [
      { route: 'frameworks', name: 'Frameworks', icon: 'frameworks', key: 'w', also: ['framework', 'control'] },
      { route: 'attestations', name: 'Attestations', icon: 'seal', key: 't', also: ['attestation', 'verify'] },
      { route: 'audit', name: 'Audit trail', icon: 'audit', key: 'a', also: ['entry'] },
    ],
  },
  {
    name: 'System',
    entries: [
      { route: 'systems', name: 'Systems', icon: 'systems', key: 'y', also: ['system'] },
      { route: 'scans', name: 'Scans', icon: 'scan', key: 's', also: [] },
      { route: 'jobs', name: 'Jobs', icon: 'jobs', key: 'j', also: [] },
      { route: 'settings', name: 'Settings', icon: 'settings', key: 'e', also: ['settingsPage'] },
    ],
  },
];
