// Reads one JSON string a line; answers with [types, text] of npm's slack-markdown: every construct, all its words.
const markdown = require("simple-markdown");
const parse = markdown.parserFor(require("slack-markdown").rules);

function walk(nodes, types, words) {
  for (const node of nodes) {
    // It calls the middle of 12:30:45 and of 9:00-18:00 an emoji too, though one that nobody knows.
    const time = node.type === "emoji" && !node.isEmoji && /^:\d{1,2}([-+]\d{1,2})?:$/.test(node.content);
    types.add(time ? "text" : node.type);
    if (node.type === "br" || node.type === "newline") words.push("\n");
    else if (Array.isArray(node.content)) walk(node.content, types, words);
    else words.push(node.content || node.id || "");
  }
}

require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const types = new Set();
  const words = [];
  walk(parse(JSON.parse(line), { inline: true, inQuote: false }), types, words);
  console.log(JSON.stringify([[...types].sort(), words.join("")]));
});
