// Asks Mistral and Cohere by their own packages: see answering.mjs.
import { Mistral } from "@mistralai/mistralai";
import { CohereClientV2 } from "cohere-ai";
import { answerCases, failure, useProxyOf, WEATHER } from "./answering.mjs";

const AT_A_TIME = 24;
const tool = { type: "function", function: WEATHER };

const request = (prompt, tools) => ({
  model: prompt,
  messages: [{ role: "user", content: "hi" }],
  ...(tools ? { tools: [tool] } : {}),
});

const told = (error) => {
  const document = typeof error.body === "string" ? error.body : JSON.stringify(error.body ?? "");
  const said = document.match(/"message":\s*"([^"]*)"/)?.[1];
  return { ...failure(error), status: error.statusCode ?? null, message: said ?? error.message };
};

const mistralApi = (client) => ({
  async create(asked, seen) {
    const [choice] = (await client.chat.complete(asked)).choices;
    [seen.text, seen.stop] = [choice.message.content, choice.finishReason];
  },
  async raw(asked, seen) {
    for await (const { data } of await client.chat.stream(asked)) {
      const [choice] = data.choices;
      seen.text += choice.delta.content ?? "";
      for (const call of choice.delta.toolCalls ?? []) {
        const given = call.function.arguments;
        seen.arguments += typeof given === "string" ? given : JSON.stringify(given);
      }
      seen.stop = choice.finishReason ?? seen.stop;
    }
  },
  request,
  failure: told,
});

const cohereApi = (client) => ({
  async create(asked, seen) {
    const answer = await client.chat(asked);
    if (!answer?.message) return void (seen.returned = "no message");
    seen.text = (answer.message.content ?? []).map((part) => part.text ?? "").join("");
    seen.stop = answer.finishReason;
  },
  async raw(asked, seen) {
    for await (const event of await client.chatStream(asked)) {
      seen.text += event.delta?.message?.content?.text ?? "";
      seen.arguments += event.delta?.message?.toolCalls?.function?.arguments ?? "";
      seen.stop = event.delta?.finishReason ?? seen.stop;
    }
  },
  request,
  failure: told,
});

function openApi(one) {
  useProxyOf(one);
  if (one.client === "mistral")
    return mistralApi(
      new Mistral({ apiKey: "test", serverURL: one.base_url, timeoutMs: one.timeout * 1000 }),
    );
  const timeoutInSeconds = one.timeout;
  return cohereApi(new CohereClientV2({ token: "test", environment: one.base_url, timeoutInSeconds }));
}

await answerCases(openApi, AT_A_TIME);
