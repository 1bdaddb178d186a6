// Asks Gemini by @google/genai: see answering.mjs.
import { GoogleGenAI } from "@google/genai";
import { answerCases, CITY, failure, useProxyOf } from "./answering.mjs";

const AT_A_TIME = 24;

function note(answer, seen) {
  seen.text += answer.text ?? "";
  for (const call of answer.functionCalls ?? []) seen.arguments += JSON.stringify(call.args);
  seen.stop = answer.candidates?.at(-1)?.finishReason ?? seen.stop;
}

const geminiApi = (client) => ({
  async create(request, seen) {
    note(await client.models.generateContent(request), seen);
  },
  async raw(request, seen) {
    const chunks = await client.models.generateContentStream(request);
    for await (const chunk of chunks) note(chunk, seen);
  },
  request(prompt, tools) {
    const weather = { name: "weather", parametersJsonSchema: CITY };
    const config = tools ? { tools: [{ functionDeclarations: [weather] }] } : {};
    return { model: prompt, contents: "hi", config };
  },
  failure(error) {
    // the message is the document that the API sent
    const said = error.message.match(/"message":\s*"([^"]*)"/)?.[1];
    return { ...failure(error), message: said ?? error.message };
  },
});

function openApi(one) {
  useProxyOf(one);
  const httpOptions = { baseUrl: one.base_url, timeout: one.timeout * 1000 };
  return geminiApi(new GoogleGenAI({ apiKey: "AIza-test", httpOptions }));
}

await answerCases(openApi, AT_A_TIME);
