// Asks Ollama by its own package: see answering.mjs.
import { Ollama } from "ollama";
import { answerCases, failure, useProxyOf, WEATHER } from "./answering.mjs";

const AT_A_TIME = 24;

function note(answer, seen) {
  seen.text += answer.message?.content ?? "";
  for (const call of answer.message?.tool_calls ?? [])
    seen.arguments += JSON.stringify(call.function.arguments);
  seen.stop = answer.done_reason ?? seen.stop;
}

const ollamaApi = (client) => ({
  async create(request, seen) {
    note(await client.chat(request), seen);
  },
  async raw(request, seen) {
    for await (const part of await client.chat({ ...request, stream: true })) note(part, seen);
  },
  request(prompt, tools) {
    const tool = tools ? { tools: [{ type: "function", function: WEATHER }] } : {};
    return { model: prompt, messages: [{ role: "user", content: "hi" }], ...tool };
  },
  failure(error) {
    return { ...failure(error), status: error.status_code ?? null };
  },
});

function openApi(one) {
  useProxyOf(one);
  return ollamaApi(new Ollama({ host: one.base_url, headers: { Authorization: "Bearer test" } }));
}

await answerCases(openApi, AT_A_TIME);
