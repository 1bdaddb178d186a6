// What all programs share that ask APIs by Node's SDKs: they are driven by lines of JSON, as
// asking.py is. Each line is a case; each answer is a line with what each of the case's calls, all
// on one client, came to. The trusted CA comes by NODE_EXTRA_CA_CERTS.
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { Dispatcher, ProxyAgent, setGlobalDispatcher } from "undici";

const FREE_MILLISECONDS = 50;
console.log = console.info = console.debug = console.error; // an SDK's words are no answers
export const CITY = { type: "object", properties: { city: { type: "string" } } };
export const WEATHER = { name: "weather", parameters: CITY };

// Sends each request of the global fetch through the proxy of its case, told by the port that only
// this case has. For SDKs that cannot be given a fetch of one's own.
class ByPort extends Dispatcher {
  agents = new Map();
  dispatch(options, handler) {
    return this.agents.get(new URL(options.origin).port).dispatch(options, handler);
  }
}
const byPort = new ByPort();

export function useProxyOf(one) {
  setGlobalDispatcher(byPort);
  byPort.agents.set(new URL(one.base_url).port, new ProxyAgent(one.proxy));
}

export function failure(error) {
  const { status = null, message } = error;
  if (error instanceof DOMException) return { error: error.name, status, type: null, message };
  const type = error.code ?? error.type ?? null;
  return { error: error.constructor.name, status, type, message };
}

async function ask(api, one, prompt) {
  const seen = { text: "", arguments: "", stop: null };
  const [began, leaving] = [performance.now(), new AbortController()];
  const timing = new AbortController();
  const late = setTimeout(one.deadline * 1000, true, { signal: timing.signal }).catch(() => false);
  const options = { signal: leaving.signal };
  const call = api[one.mode](api.request(prompt, one.tools), seen, options).catch((error) => {
    Object.assign(seen, (api.failure ?? failure)(error));
  });
  const hangs = (await Promise.race([call, late])) === true;
  const outcome = { ...seen, hangs, seconds: (performance.now() - began) / 1000 };
  timing.abort();
  if (hangs) leaving.abort();
  return outcome;
}

async function run(one, openApi) {
  const api = openApi(one);
  const outcomes = [];
  for (const prompt of one.prompts) {
    outcomes.push(await ask(api, one, prompt));
    // undici has the connection free for the next call a moment after the answer has been read
    await setTimeout(FREE_MILLISECONDS);
  }
  process.stdout.write(JSON.stringify({ id: one.id, outcomes }) + "\n");
}

export async function answerCases(openApi, atATime) {
  const cases = [];
  let free = atATime;
  const work = async () => {
    free--;
    while (cases.length) await run(cases.shift(), openApi);
    free++;
  };
  for await (const line of createInterface({ input: process.stdin })) {
    cases.push(JSON.parse(line));
    if (free) work();
  }
  process.exit(0); // calls that never end, and idle connections of the agents, would keep it
}
