// Calls the chat API of the gateway, and reads its stream of server-sent events.

/** A refusal of the gateway, with its response. */
export class ChatError extends Error {
    constructor(message, code, response) {
        super(message);
        this.code = code;
        this.response = response;
    }
}

/** Yields the data of each event of a stream. */
export async function* events(stream) {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let data = [];
    while (true) {
        const { value, done } = await reader.read();
        // The last line may lack its end.
        rest += done ? "\n\n" : value;
        const lines = rest.split(/\r\n|\n|\r(?!$)/);
        rest = lines.pop();
        for (const line of lines) {
            if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
            if (line !== "" || data.length === 0) continue;
            yield data.join("\n");
            data = [];
        }
        if (done) return;
    }
}

async function refusal(response) {
    try {
        const { error } = await response.json();
        return new ChatError(error.message, error.code, response);
    } catch {
        return new ChatError(`HTTP ${response.status}`, null, response);
    }
}

/**
 * Sends a request. `onHeaders` receives the response, `onText` each part of the answer. Returns
 * the usage, if the server reports it.
 */
export async function chat(url, key, body, { signal, onHeaders, onText }) {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const options = { method: "POST", headers, body: JSON.stringify(body), signal, credentials: "omit", cache: "no-store" };
    const response = await fetch(url, options);
    onHeaders(response);
    if (!response.ok) throw await refusal(response);
    if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
        const answer = await response.json();
        onText(answer.choices?.[0]?.message?.content ?? "");
        return answer.usage ?? null;
    }
    let usage = null;
    for await (const data of events(response.body)) {
        if (data === "[DONE]") break;
        const chunk = JSON.parse(data);
        if (chunk.error) throw new ChatError(chunk.error.message, chunk.error.code, response);
        const part = chunk.choices?.[0]?.delta?.content;
        if (part) onText(part);
        usage = chunk.usage ?? usage;
    }
    return usage;
}
