// Asks each API by `ai` and its package for that API: see answering.mjs.
import { generateText, jsonSchema, streamText, tool } from "ai";
import { answerCases, CITY, failure, useProxyOf } from "./answering.mjs";

const AT_A_TIME = 24;
const weather = tool({ description: "weather", inputSchema: jsonSchema(CITY) });
const BASES = {
  gemini: "/v1beta", azure: "/openai", mistral: "/v1", cohere: "/v2", groq: "/openai/v1",
  openrouter: "/api/v1", xai: "/v1", deepseek: "",
};
const PACKAGES = {
  gemini: ["@ai-sdk/google", "createGoogleGenerativeAI"],
  bedrock: ["@ai-sdk/amazon-bedrock", "createAmazonBedrock"],
  azure: ["@ai-sdk/azure", "createAzure"],
  mistral: ["@ai-sdk/mistral", "createMistral"],
  cohere: ["@ai-sdk/cohere", "createCohere"],
  groq: ["@ai-sdk/groq", "createGroq"],
  openrouter: ["@openrouter/ai-sdk-provider", "createOpenRouter"],
  xai: ["@ai-sdk/xai", "createXai"],
  deepseek: ["@ai-sdk/deepseek", "createDeepSeek"],
};
const AWS = { region: "us-east-1", accessKeyId: "AKIATEST", secretAccessKey: "test" };

async function providerOf(client, base) {
  const [name, create] = PACKAGES[client];
  const options = { baseURL: base + (BASES[client] ?? ""), apiKey: "test" };
  const made = (await import(name))[create]({ ...options, ...(client === "bedrock" ? AWS : {}) });
  // the default of these three is an API of another shape
  if (client === "azure" || client === "xai") return made.chat;
  return made;
}

// After a failed attempt `ai` throws a RetryError of its own: the last attempt's error is within.
function toldBy(error) {
  if (!(error instanceof Error)) {
    const message = typeof error === "string" ? error : error.message;
    return { error: "a part with an error", status: null, type: null, message };
  }
  const last = error.lastError ?? error;
  const name = error === last ? last.name : `${error.name} of ${last.name}`;
  return { ...failure(error), error: name, status: last.statusCode ?? null, message: last.message };
}

const vercelApi = (model) => ({
  async create(request, seen, { signal }) {
    const answer = await generateText({ model: await model(request.model), prompt: "hi",
      tools: request.tools, abortSignal: signal });
    [seen.text, seen.stop] = [answer.text, answer.finishReason];
  },
  async raw(request, seen, { signal }) {
    const { fullStream } = streamText({ model: await model(request.model), prompt: "hi",
      tools: request.tools, abortSignal: signal, onError() {} });
    for await (const part of fullStream) {
      if (part.type === "text-delta") seen.text += part.text;
      if (part.type === "tool-input-delta") seen.arguments += part.delta;
      if (part.type === "finish") seen.stop = part.finishReason;
      if (part.type === "error") Object.assign(seen, toldBy(part.error));
    }
  },
  request: (prompt, tools) => ({ model: prompt, tools: tools ? { weather } : undefined }),
  failure: toldBy,
});

function openApi(one) {
  useProxyOf(one);
  const provider = providerOf(one.client, one.base_url);
  return vercelApi(async (name) => (await provider)(name));
}

await answerCases(openApi, AT_A_TIME);
