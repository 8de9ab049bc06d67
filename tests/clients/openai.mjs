// SPDX-License-Identifier: Apache-2.0
// Speaks to llm-server as a program that uses OpenAI's own library does: openai.mjs BASE-URL
// A line for each thing that works; the first that does not ends it with status 1.
import assert from "node:assert/strict";
import {createRequire} from "node:module";

// Installed elsewhere than beside this file: NODE_PATH, which only require() reads.
const OpenAI = createRequire(import.meta.url)("openai");
const client = new OpenAI({baseURL: process.argv[2], apiKey: "none", maxRetries: 0, timeout: 60_000});
const prompt = "And it came to pass";
const messages = [{role: "user", content: "Who made the heaven and the earth?"}];
let model;

async function collect(stream, pick) {
    const all = {text: "", chunks: 0, finish: null, usage: null};
    for await (const chunk of stream) {
        all.usage = chunk.usage ?? all.usage;
        if (!chunk.choices.length)
            continue;
        all.chunks++;
        all.text += pick(chunk.choices[0]) ?? "";
        all.finish = chunk.choices[0].finish_reason ?? all.finish;
    }
    return all;
}

const checks = {
    async models() {
        const list = (await client.models.list()).data;
        assert.equal(list.length, 1);
        model = list[0].id;
        assert.match(model, /kjv/);
    },

    async completions() {
        const ask = {model, prompt, max_tokens: 24};
        const whole = await client.completions.create(ask);
        assert.ok(whole.choices[0].text.length > 20);
        assert.equal(whole.choices[0].finish_reason, "length");
        assert.equal(whole.usage.completion_tokens, 24);
        assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + 24);
        const again = await client.completions.create({...ask, temperature: 0, seed: 5});
        assert.equal(again.choices[0].text, whole.choices[0].text);
        const pieces = await collect(await client.completions.create({...ask, stream: true}), c => c.text);
        assert.equal(pieces.text, whole.choices[0].text);
        assert.equal(pieces.chunks, 24);
        assert.equal(pieces.finish, "length");
    },

    async chat() {
        const ask = {model, messages, max_tokens: 24};
        const whole = await client.chat.completions.create(ask);
        assert.equal(whole.choices[0].message.role, "assistant");
        assert.ok(whole.choices[0].message.content.length > 20);
        const stream = await client.chat.completions.create({...ask, stream: true, stream_options: {include_usage: true}});
        const pieces = await collect(stream, c => c.delta.content);
        assert.equal(pieces.text, whole.choices[0].message.content);
        assert.equal(pieces.usage.completion_tokens, whole.usage.completion_tokens);
        assert.ok(pieces.usage.prompt_tokens_details.cached_tokens > 0);
    },

    async "the library's own stream helper"() {
        const texts = [];
        const stream = client.chat.completions.stream({model, messages, max_tokens: 12});
        stream.on("content", text => texts.push(text));
        const last = await stream.finalChatCompletion();
        assert.equal(texts.join(""), last.choices[0].message.content);
    },

    async sampling() {
        const draw = async seed => (await client.completions.create(
            {model, prompt, max_tokens: 24, temperature: 1, top_p: 0.9, seed})).choices[0].text;
        assert.equal(await draw(1), await draw(1));
        assert.notEqual(await draw(1), await draw(2));
    },

    async stop() {
        const ask = {model, prompt, max_tokens: 24};
        const word = (await client.completions.create(ask)).choices[0].text.trim().split(/\s+/)[3];
        const cut = await client.completions.create({...ask, stop: [word]});
        assert.equal(cut.choices[0].finish_reason, "stop");
        assert.ok(!cut.choices[0].text.includes(word));
    },

    async "several at once"() {
        const one = async p => (await client.completions.create({model, prompt: p, max_tokens: 16})).choices[0].text;
        const prompts = ["And God said", "The words of", "In those days", "Blessed is"];
        const together = await Promise.all(prompts.map(one));
        for (const [i, p] of prompts.entries())
            assert.equal(await one(p), together[i]);
    },

    async errors() {
        await assert.rejects(client.completions.create({model, prompt, max_tokens: 0}), e =>
            e instanceof OpenAI.BadRequestError && e.status === 400 && /max_tokens/.test(e.message));
        await assert.rejects(client.chat.completions.create({model, messages: [], max_tokens: 4}),
            OpenAI.BadRequestError);
        await assert.rejects(client.embeddings.create({model, input: "x"}), OpenAI.NotFoundError);
    },

    async "a stream that its reader leaves"() {
        const stream = await client.completions.create({model, prompt, max_tokens: 100_000, stream: true});
        for await (const chunk of stream) {
            assert.ok(chunk.id);
            break;
        }
        stream.controller.abort();
        assert.equal((await client.completions.create({model, prompt, max_tokens: 2})).usage.completion_tokens, 2);
    },
};

for (const [name, check] of Object.entries(checks)) {
    await check();
    console.log(`ok ${name}`);
}
