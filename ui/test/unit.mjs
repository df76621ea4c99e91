// Runs the unit tests and ends with the line 'N passed, N failed'.
import { startVitest } from 'vitest/node';

const vitest = await startVitest('test', process.argv.slice(2), { run: true, watch: false });
const tests = vitest.state.getFiles().flatMap(function all(task) {
  return task.tasks ? task.tasks.flatMap(all) : [task];
});
const passed = tests.filter((test) => test.result?.state === 'pass').length;
const failed = tests.filter((test) => test.result?.state === 'fail').length + vitest.state.getFiles().filter((file) => file.result?.errors?.length).length;
const errors = vitest.state.getUnhandledErrors().length;
await vitest.close();
console.log(`${passed} passed, ${failed + errors} failed`);
process.exit(failed + errors > 0 || passed === 0 ? 1 : 0);
