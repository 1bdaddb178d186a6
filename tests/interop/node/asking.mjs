// Asks an API by one of Node's SDKs, whose package is the argument: see answering.mjs.
import { ProxyAgent } from "undici";
import { answerCases, CITY } from "./answering.mjs";

const sdk = (await import(process.argv[2])).default;
const anthropic = process.argv[2].startsWith("@anthropic");
const AT_A_TIME = 6;

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

function openApi(one) {
  const fetchOptions = { dispatcher: new ProxyAgent(one.proxy) };
  const baseURL = anthropic ? one.base_url : one.base_url + "/v1";
  const timeout = one.timeout * 1000;
  const client = new sdk({ apiKey: "sk-test", baseURL, timeout, fetchOptions });
  return anthropic ? messagesApi(client) : completionsApi(client);
}

await answerCases(openApi, AT_A_TIME);
