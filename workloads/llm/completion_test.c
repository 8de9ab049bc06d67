// SPDX-License-Identifier: Apache-2.0
#include <jansson.h>
#include <string.h>

#include "check.h"
#include "completion.h"

static struct tokenizer *tokenizer;

static int parse_as(bool chat, const char *body, struct completion *c)
{
	struct failure f = { "" };
	const struct completion_limits limits = { tokenizer, 4096, 8 };
	int r = completion_parse(body, strlen(body), chat, &limits, c, &f);

	CHECK(!r || *f.text);
	return r;
}

static int parse(const char *body, struct completion *c)
{
	return parse_as(false, body, c);
}

static void test_requests(void)
{
	struct completion c;

	CHECK(!parse("{\"prompt\":\"a b c\",\"max_tokens\":1000000,\"stream\":true}", &c));
	CHECK(c.n_prompt == 3 && c.max_tokens == 1000000 && c.stream);
	completion_free(&c);
	CHECK(!parse("{\"prompt\":[1,2,4095],\"temperature\":0.0}", &c));
	CHECK(c.n_prompt == 3 && c.prompt[2] == 4095 && !c.stream);
	CHECK(c.max_tokens == COMPLETION_DEFAULT_TOKENS);
	completion_free(&c);
	CHECK(!parse("{\"prompt\":\"\"}", &c) && c.n_prompt == 1);
	completion_free(&c);
}

static void test_bad_requests(void)
{
	static const char *const bad[] = { "", "nonsense", "[]", "{}", "{\"prompt\":5}",
		"{\"prompt\":[4096]}", "{\"prompt\":[-1]}", "{\"prompt\":[\"x\",\"y\"]}",
		"{\"prompt\":[1,2,3,4,5,6,7,8,9]}", "{\"prompt\":\"1 2 3 4 5 6 7 8 9\"}",
		"{\"prompt\":\"a\",\"max_tokens\":0}", "{\"prompt\":\"a\",\"max_tokens\":1000001}",
		"{\"prompt\":\"a\",\"max_tokens\":\"5\"}", "{\"prompt\":\"a\",\"stream\":1}",
		"{\"prompt\":\"a\",\"temperature\":2.5}", "{\"prompt\":\"a\",\"n\":2}",
		"{\"prompt\":\"a\",\"temperature\":\"1\"}", "{\"prompt\":\"a\",\"top_p\":0}",
		"{\"prompt\":\"a\",\"top_p\":1.5}", "{\"prompt\":\"a\",\"seed\":1.5}",
		"{\"prompt\":\"a\",\"stop\":\"\"}", "{\"prompt\":\"a\",\"stop\":[1]}",
		"{\"prompt\":\"a\",\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\"]}",
		"{\"prompt\":\"a\"} x" };
	struct completion c;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(parse(bad[i], &c) < 0);
}

static void test_sampling(void)
{
	struct completion c;

	CHECK(!parse("{\"prompt\":\"a\",\"temperature\":0.5,\"top_p\":0.25,\"seed\":-3,"
		     "\"stop\":[\"x\",\"yy\"],\"n\":1,\"user\":null}",
		&c));
	CHECK(c.sampling.temperature == 0.5f && c.sampling.top_p == 0.25f);
	CHECK(c.sampling.seed == (uint64_t)-3 && c.stops.n == 2 && !strcmp(c.stops.text[1], "yy"));
	completion_free(&c);
	CHECK(!parse("{\"prompt\":\"a\",\"stop\":\"end\",\"temperature\":null}", &c));
	CHECK(c.sampling.temperature == 0 && c.stops.n == 1);
	completion_free(&c);
}

static void test_chat(void)
{
	static const char *const bad[] = { "{\"prompt\":\"a\"}", "{\"messages\":[]}",
		"{\"messages\":[{}]}", "{\"messages\":[{\"role\":\"user\"}]}",
		"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}",
		"{\"messages\":[{\"role\":\"user\",\"content\":\"1 2 3 4 5 6 7 8\"}]}" };
	struct completion c;

	// A synthetic model's form is plain: "user: a b" and "assistant:", five words.
	CHECK(!parse_as(true,
		"{\"messages\":[{\"role\":\"user\",\"content\":\"a b\"}],"
		"\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
		&c));
	CHECK(c.chat && c.stream && c.usage && c.n_prompt < 8);
	CHECK(c.max_tokens == 8 - c.n_prompt);
	completion_free(&c);
	CHECK(!parse_as(true,
		"{\"messages\":[{\"role\":\"user\",\"content\":"
		"[{\"type\":\"text\",\"text\":\"a\"}]}],\"max_completion_tokens\":3}",
		&c));
	CHECK(c.max_tokens == 3);
	completion_free(&c);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(parse_as(true, bad[i], &c) < 0);
}

static json_t *event_of(bool chat, uint32_t index, const char *finish)
{
	const struct completion_head head = { "id-1", "m", 7, chat };
	struct bytes out = { 0 }, text = { 0 };
	json_t *doc;

	bytes_add(&text, "h\xc3\xa9", 3);
	completion_event(&out, &head, 5, index, &text, finish);
	CHECK(!out.failed && !memcmp(out.data, "data: ", 6));
	CHECK(!memcmp(out.data + out.len - 2, "\n\n", 2));
	doc = json_loadb(out.data + 6, out.len - 6, 0, NULL);
	CHECK(doc && json_integer_value(json_object_get(doc, "token_id")) == 5);
	CHECK(json_integer_value(json_object_get(doc, "index")) == index);
	bytes_free(&out);
	bytes_free(&text);
	return doc;
}

static void test_event(void)
{
	json_t *doc = event_of(false, 3, "length");
	const json_t *choice = json_array_get(json_object_get(doc, "choices"), 0);

	CHECK(!strcmp(json_string_value(json_object_get(choice, "text")), "h\xc3\xa9"));
	CHECK(!strcmp(json_string_value(json_object_get(choice, "finish_reason")), "length"));
	json_decref(doc);
}

static void test_chat_events(void)
{
	json_t *doc = event_of(true, 0, NULL);
	const json_t *choice = json_array_get(json_object_get(doc, "choices"), 0);
	const json_t *delta = json_object_get(choice, "delta");

	CHECK(!strcmp(json_string_value(json_object_get(doc, "object")), "chat.completion.chunk"));
	CHECK(!strcmp(json_string_value(json_object_get(delta, "role")), "assistant"));
	CHECK(!strcmp(json_string_value(json_object_get(delta, "content")), "h\xc3\xa9"));
	CHECK(json_is_null(json_object_get(choice, "finish_reason")));
	json_decref(doc);
}

static void test_body(void)
{
	const struct completion_head head = { "id-1", "m", 7, true };
	const struct completion_usage cost = { .prompt = 3, .cached = 1, .completion = 2 };
	const int32_t tokens[2] = { 4, 5 };
	struct bytes out = { 0 }, text = { 0 };
	const json_t *choice, *usage, *details;
	json_t *doc;

	completion_body(&out, &head, tokens, &cost, &text, "stop");
	doc = json_loadb(out.data, out.len, 0, NULL);
	choice = json_array_get(json_object_get(doc, "choices"), 0);
	usage = json_object_get(doc, "usage");
	CHECK(!strcmp(
		json_string_value(json_object_get(json_object_get(choice, "message"), "content")),
		""));
	CHECK(json_array_size(json_object_get(choice, "token_ids")) == 2);
	CHECK(json_integer_value(json_object_get(usage, "total_tokens")) == 5);
	details = json_object_get(usage, "prompt_tokens_details");
	CHECK(json_integer_value(json_object_get(details, "cached_tokens")) == 1);
	json_decref(doc);
	bytes_free(&out);
}

int main(void)
{
	CHECK(!tokenizer_open_synthetic(&tokenizer, NULL));
	RUN(test_requests);
	RUN(test_bad_requests);
	RUN(test_sampling);
	RUN(test_chat);
	RUN(test_event);
	RUN(test_chat_events);
	RUN(test_body);
	tokenizer_close(tokenizer);
	return 0;
}
