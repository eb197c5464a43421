// Reads one JSON string a line; answers with [types, words] of each of three readers: every construct, all its words.
const rocketchat = require("@rocket.chat/message-parser");
const commonmark = require("commonmark");
const { marked } = require("marked");

// As a new Rocket.Chat is set up, but that a smiley may stay one.
const SWITCHES = { colors: true, emoticons: false, katex: { dollarSyntax: false, parenthesisSyntax: true } };

function readByRocketChat(text) {
  const types = new Set();
  const words = [];
  const walk = (node) => {
    if (Array.isArray(node)) node.forEach(walk);
    else if (typeof node === "string") words.push(node);
    else if (node && node.type === "LINK") {
      // A bare address shows where it leads; a label hides it.
      const label = (Array.isArray(node.value.label) ? node.value.label : [node.value.label]).map((one) => one.value).join("");
      const target = node.value.src.value.replace(/^(mailto:|\/\/)/, "");
      const bare = target === label || target === "tel:" + label.replace(/\D/g, "");
      types.add(bare ? "ADDRESS" : "LINK");
      words.push(label);
    } else if (node && node.type === "MENTION_CHANNEL" && /^[\d.]+$/.test(node.value.value)) {
      words.push("#" + node.value.value); // #12 is shown as it is where no channel is called so
    } else if (node && node.unicode) words.push(node.unicode); // an emoji that is one already
    else if (node && node.type === "LINE_BREAK") words.push("\n");
    else if (node && node.type) {
      if (node.type !== "BIG_EMOJI") types.add(node.type);
      walk(node.value);
    }
  };
  if (text === "") return [[], ""]; // its grammar has no empty message
  walk(rocketchat.parse(text, SWITCHES));
  return [[...types], words.join("")];
}

function readByMarked(text) {
  const types = new Set();
  const words = [];
  const walk = (token) => {
    const bare = token.type === "link" && !/^[[<!]/.test(token.raw);
    types.add(bare ? "address" : token.type);
    if (token.tokens && !bare) token.tokens.forEach(walk);
    else words.push(token.type === "text" || bare ? token.text : "\n");
  };
  marked.lexer(text, { gfm: true, breaks: true }).forEach(walk);
  return [[...types], words.join("")];
}

function readByCommonMark(text) {
  const types = new Set();
  const words = [];
  const walker = new commonmark.Parser().parse(text).walker();
  for (let step = walker.next(); step; step = walker.next()) {
    types.add(step.node.type);
    if (step.entering) words.push(step.node.literal || "");
  }
  return [[...types], words.join("")];
}

require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const text = JSON.parse(line);
  const answers = { rocketchat: readByRocketChat(text), marked: readByMarked(text), commonmark: readByCommonMark(text) };
  console.log(JSON.stringify(answers));
});
