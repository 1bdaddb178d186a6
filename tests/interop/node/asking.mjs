// Asks an API by one of Node's SDKs, many calls at a time: driven by lines of JSON, as asking.py is.
//
// The argument is the SDK's package. Each line is a case; each answer is a line with what each of
// the case's calls, all on one client, came to. The trusted CA comes by NODE_EXTRA_CA_CERTS.
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { ProxyAgent } from "undici";

const sdk = (await import(process.argv[2])).default;
const anthropic = process.argv[2].startsWith("@anthropic");
const AT_A_TIME = 6;
const FREE_MILLISECONDS = 50;
const CITY = { type: "object", properties: { city: { type: "string" } } };

const messagesApi = (client) => ({
  async create(request, seen, options) {
    const message = await client.messages.create(request, options);
    if (!message?.content) return void (seen.returned = typeof message);
    seen.text = message.content.map((block) => block.text ?? "").join("");
    seen.stop = message.stop_reason;
  },
  async raw(request, seen, options) {
    for await (const event of await client.messages.create({ ...request, stream: true }, options)) {
      seen.text += event.delta?.text ?? "";
      seen.arguments += event.delta?.partial_json ?? "";
      seen.stop = event.delta?.stop_reason ?? seen.stop;
    }
  },
  async helped(request, seen, options) {
    const stream = client.messages.stream(request, options);
    stream.on("text", (text) => void (seen.text += text));
    const final = await stream.finalMessage();
    seen.stop = final.stop_reason;
    const call = final.content.find((block) => block.type === "tool_use");
    seen.arguments = call ? JSON.stringify(call.input) : "";
  },
  request(prompt, tools) {
    const tool = tools ? { tools: [{ name: "weather", input_schema: CITY }] } : {};
    return { model: "m", max_tokens: 64, messages: [{ role: "user", content: prompt }], ...tool };
  },
});

function note(choice, seen) {
  seen.text += choice.delta.content ?? "";
  for (const call of choice.delta.tool_calls ?? []) seen.arguments += call.function.arguments ?? "";
  seen.stop = choice.finish_reason ?? seen.stop;
}

const completionsApi = (client) => ({
  async create(request, seen, options) {
    const answer = await client.chat.completions.create(request, options);
    if (!answer?.choices) return void (seen.returned = typeof answer);
    seen.text = answer.choices[0].message.content;
    seen.stop = answer.choices[0].finish_reason;
  },
  async raw(request, seen, options) {
    const asked = { ...request, stream: true };
    const chunks = await client.chat.completions.create(asked, options);
    for await (const chunk of chunks) note(chunk.choices[0], seen);
  },
  async helped(request, seen, options) {
    const stream = client.chat.completions.stream(request, options);
    stream.on("chunk", (chunk) => note(chunk.choices[0], seen));
    const final = await stream.finalChatCompletion();
    seen.stop = final.choices[0].finish_reason;
  },
  request(prompt, tools) {
    const weather = { name: "weather", parameters: CITY };
    const tool = tools ? { tools: [{ type: "function", function: weather }] } : {};
    return { model: "m", messages: [{ role: "user", content: prompt }], ...tool };
  },
});

function failure(error) {
  const { status = null, message } = error;
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
    Object.assign(seen, failure(error));
  });
  const hangs = (await Promise.race([call, late])) === true;
  const outcome = { ...seen, hangs, seconds: (performance.now() - began) / 1000 };
  timing.abort();
  if (hangs) leaving.abort();
  return outcome;
}

async function run(one) {
  const fetchOptions = { dispatcher: new ProxyAgent(one.proxy) };
  const baseURL = anthropic ? one.base_url : one.base_url + "/v1";
  const timeout = one.timeout * 1000;
  const client = new sdk({ apiKey: "sk-test", baseURL, timeout, fetchOptions });
  const api = anthropic ? messagesApi(client) : completionsApi(client);
  const outcomes = [];
  for (const prompt of one.prompts) {
    outcomes.push(await ask(api, one, prompt));
    // undici has the connection free for the next call a moment after the answer has been read
    await setTimeout(FREE_MILLISECONDS);
  }
  console.log(JSON.stringify({ id: one.id, outcomes }));
}

const cases = [];
for await (const line of createInterface({ input: process.stdin })) cases.push(JSON.parse(line));
const worker = async () => {
  while (cases.length) await run(cases.shift());
};
await Promise.all(Array.from({ length: AT_A_TIME }, worker));
process.exit(0); // idle connections of the agents would keep the process
