// Runs the public test suite of HTTP caches against the cache at BASE, and prints each test with its kind and what the
// suite's own judge says of it, in the order of the suite.
//   node judge.mjs FOLDER-OF-THE-SUITE BASE [TEST]
// With TEST only that one, with the requests and answers that client and server saw.
import { pathToFileURL } from 'node:url'

const [folder, base, only] = process.argv.slice(2)
const of = (file) => import(pathToFileURL(`${folder}/${file}`))
const { runTests, getResults } = await of('client/runner.mjs')
const { determineTestResult } = await of('lib/display.mjs')
const { default: fetch } = await of('../node-fetch/lib/index.mjs')
const { default: suites } = await of('tests/index.mjs')
suites.push((await of('tests/surrogate-control.mjs')).default)

const words = {
  '-': 'untested', '✅': 'pass', '⛔️': 'fail', '⚠️': 'not-optimal', Y: 'yes', N: 'no',
  '🔹': 'setup-failed', '⁉️': 'harness-failed', '⚪️': 'depends-on-another', '↻': 'retried'
}
const chosen = only === undefined
  ? suites
  : suites.map(suite => ({ ...suite, tests: suite.tests.filter(test => test.id === only) }))
if (only !== undefined) {
  for (const suite of chosen) for (const test of suite.tests) test.dump = true
}
await runTests(chosen, fetch, false, base)
const results = getResults()
for (const { tests } of chosen) {
  for (const { id, kind = 'required', browser_only: browser } of tests) {
    if (browser === true) continue // a sidecar is none
    // One that was passed was, whatever became of those that it depends on.
    const word = words[determineTestResult(suites, id, results, results[id] !== true)[2]]
    console.log(`${kind} ${id} ${word}${process.env.WHY ? ' ' + JSON.stringify(results[id]) : ''}`)
  }
}
