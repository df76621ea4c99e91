// Holds the hand-written shapes against the document that the server prints: what the server
// answers must be assignable to what the console expects. Checked by the compiler alone.
import type { components } from '../../src/api/schema';
import type * as Ours from '../../src/api/types';

type Theirs = components['schemas'];
type Fits<Server, Expected> = (answer: Server) => Expected;

export const fits: [
  Fits<Theirs['ActionAnswer'], Ours.ActionAnswer>,
  Fits<Theirs['Answer'], Ours.Answer>,
  Fits<Theirs['Assessment'], Ours.Assessment>,
  Fits<Theirs['Attestation'], Ours.Attestation>,
  Fits<Theirs['AuditEntry'], Ours.AuditEntry>,
  Fits<Theirs['Check'], Ours.Check>,
  Fits<Theirs['ClusterAudit'], Ours.ClusterAudit>,
  Fits<Theirs['ControlDetail'], Ours.ControlDetail>,
  Fits<Theirs['ControlRow'], Ours.ControlRow>,
  Fits<Theirs['Decision'], Ours.Decision>,
  Fits<Theirs['Drift'], Ours.Drift>,
  Fits<Theirs['Feed'], Ours.Feed>,
  Fits<Theirs['Finding'], Ours.Finding>,
  Fits<Theirs['FindingDetail'], Ours.FindingDetail>,
  Fits<Theirs['FindingPage'], Ours.FindingPage>,
  Fits<Theirs['Framework'], Ours.FrameworkRow>,
  Fits<Theirs['FrameworkDetail'], Ours.FrameworkDetail>,
  Fits<Theirs['HistoryPoint'], Ours.HistoryPoint>,
  Fits<Theirs['Job'], Ours.Job>,
  Fits<Theirs['Key'], Ours.Key>,
  Fits<Theirs['Ledger'], Ours.Ledger>,
  Fits<Theirs['Overview'], Ours.Overview>,
  Fits<Theirs['PolicySet'], Ours.PolicySet>,
  Fits<Theirs['Problem'], Ours.ProblemBody>,
  Fits<Theirs['ProofView'], Ours.Proof>,
  Fits<Theirs['Result'], Ours.Result>,
  Fits<Theirs['Scan'], Ours.Scan>,
  Fits<Theirs['Schedule'], Ours.Schedule>,
  Fits<Theirs['Scope'], Ours.Scope>,
  Fits<Theirs['Session'], Ours.Session>,
  Fits<Theirs['System'], Ours.System>,
  Fits<Theirs['Task'], Ours.Task>,
  Fits<Theirs['Token'], Ours.Token>,
  Fits<Theirs['TokenCreated'], Ours.NewToken>,
  Fits<Theirs['TrialResult'], Ours.TrialResult>,
  Fits<Theirs['User'], Ours.User>,
  Fits<Theirs['Vulnerability'], Ours.Vulnerability>,
  Fits<Theirs['VulnerabilityHistory'], Ours.VulnerabilityHistory>,
  Fits<Theirs['VulnerabilityLine'], Ours.VulnerabilityLine>,
  Fits<Theirs['Verdict'], Ours.VerifyAnswer>,
] = Array.from({ length: 40 }, () => (answer: unknown) => answer) as never;
