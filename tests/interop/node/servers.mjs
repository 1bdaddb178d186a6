// Calls the tools of an MCP server by @modelcontextprotocol/sdk: see answering.mjs.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { answerCases, failure, useProxyOf } from "./answering.mjs";

const AT_A_TIME = 24;

async function opened(one) {
  const client = new Client({ name: "interop", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${one.base_url}/mcp`)));
  return client;
}

const toolsApi = (one) => {
  let session; // it begins before the first call
  return {
    async create(request, seen, { signal }) {
      session ??= opened(one);
      const timeout = one.timeout * 1000;
      const result = await (await session).callTool(request, undefined, { signal, timeout });
      seen.text = result.content.map((part) => part.text ?? "").join("");
      seen.stop = result.isError ? "isError" : "stop";
    },
    request: (prompt) => ({ name: "echo", arguments: { text: "hi there", case: prompt } }),
    failure(error) {
      return { ...failure(error), status: null };
    },
  };
};

function openApi(one) {
  useProxyOf(one);
  return toolsApi(one);
}

await answerCases(openApi, AT_A_TIME);
