// The request as a command and as a program. The key is never part of them.

const KEY = "STOCKADE_API_KEY";
/** Takes the place of a picture until the text is complete. */
const MARK = "\u0001";

/** A request with a mark in place of its picture. */
function marked(body) {
    return JSON.parse(JSON.stringify(body), (name, value) => {
        const isPicture = name === "url" && typeof value === "string" && value.startsWith("data:");
        return isPicture ? value.slice(0, value.indexOf(",") + 1) + MARK : value;
    });
}

const shellQuote = (value) => `'${value.replaceAll("'", "'\\''")}'`;

/** A command for a POSIX shell. */
export function curl(url, body, picture) {
    const json = shellQuote(JSON.stringify(marked(body), null, 2));
    const head = `curl ${shellQuote(url)} \\\n  -H "Authorization: Bearer $${KEY}" \\\n  -H 'Content-Type: application/json'`;
    if (!picture) return `${head} \\\n  -d ${json}`;
    // A picture is too long for an argument of a command, but not for `printf` of the shell.
    const filled = json.replaceAll(/\\u0001/g, `'"$(base64 -w0 ${shellQuote(picture.name)})"'`);
    return `printf '%s' ${filled} |\n${head} \\\n  --data-binary @-`;
}

function literal(value, indent = "") {
    const inner = `${indent}    `;
    if (value === null) return "None";
    if (value === true) return "True";
    if (value === false) return "False";
    if (typeof value === "string") return stringLiteral(value);
    if (typeof value !== "object") return String(value);
    const isList = Array.isArray(value);
    const items = isList
        ? value.map((item) => literal(item, inner))
        : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${literal(item, inner)}`);
    const [open, close] = isList ? ["[", "]"] : ["{", "}"];
    if (items.length === 0) return open + close;
    return `${open}\n${items.map((item) => `${inner}${item},\n`).join("")}${indent}${close}`;
}

/** Strings of JSON are strings of Python, except for pairs of surrogates, which stay characters. */
function stringLiteral(value) {
    if (value.endsWith(MARK)) return `f"${value.slice(0, -1)}{picture}"`;
    return JSON.stringify(value);
}

/** A program with OpenAI's library. */
export function python(base, body, picture) {
    const { stream, stream_options: _, ...others } = marked(body);
    const args = Object.entries(others).map(([name, value]) => `    ${name}=${literal(value, "    ")},\n`);
    const imports = picture ? "import base64\nimport os\nfrom pathlib import Path\n" : "import os\n";
    const read = picture ? `picture = base64.b64encode(Path(${JSON.stringify(picture.name)}).read_bytes()).decode()\n` : "";
    const client = `client = OpenAI(base_url=${JSON.stringify(`${base}/v1`)}, api_key=os.environ["${KEY}"])\n`;
    const call = (name) => `${name} = client.chat.completions.create(\n${args.join("")}`;
    const rest = stream
        ? `${call("stream")}    stream=True,\n)\nfor chunk in stream:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or "", end="", flush=True)\n`
        : `${call("response")})\nprint(response.choices[0].message.content)\n`;
    return `${imports}\nfrom openai import OpenAI\n\n${client}${read}${rest}`;
}
