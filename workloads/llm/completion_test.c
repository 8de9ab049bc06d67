// SPDX-License-Identifier: Apache-2.0
#include <jansson.h>
#include <string.h>

#include "check.h"
#include "completion.h"

static int parse(const char *body, struct completion *c)
{
	struct failure f = { "" };
	int r = completion_parse(body, strlen(body), 4096, 8, c, &f);

	CHECK(!r || *f.text);
	return r;
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
		"{\"prompt\":[4096]}", "{\"prompt\":[-1]}", "{\"prompt\":[\"x\"]}",
		"{\"prompt\":[1,2,3,4,5,6,7,8,9]}", "{\"prompt\":\"1 2 3 4 5 6 7 8 9\"}",
		"{\"prompt\":\"a\",\"max_tokens\":0}", "{\"prompt\":\"a\",\"max_tokens\":1000001}",
		"{\"prompt\":\"a\",\"max_tokens\":\"5\"}", "{\"prompt\":\"a\",\"stream\":1}",
		"{\"prompt\":\"a\",\"temperature\":0.7}", "{\"prompt\":\"a\",\"n\":2}",
		"{\"prompt\":\"a\"} x" };
	struct completion c;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(parse(bad[i], &c) < 0);
}

static void test_event(void)
{
	const struct completion_head head = { "cmpl-1", "m", 7 };
	struct bytes out = { 0 };
	const json_t *choice;
	json_t *doc;

	completion_event(&out, &head, 5, 3, true);
	CHECK(!out.failed && !memcmp(out.data, "data: ", 6));
	CHECK(!memcmp(out.data + out.len - 2, "\n\n", 2));
	doc = json_loadb(out.data + 6, out.len - 6, 0, NULL);
	CHECK(json_integer_value(json_object_get(doc, "token_id")) == 5);
	CHECK(json_integer_value(json_object_get(doc, "index")) == 3);
	choice = json_array_get(json_object_get(doc, "choices"), 0);
	CHECK(json_string_value(json_object_get(choice, "text"))[0] == ' ');
	CHECK(!strcmp(json_string_value(json_object_get(choice, "finish_reason")), "length"));
	json_decref(doc);
	bytes_free(&out);
}

int main(void)
{
	RUN(test_requests);
	RUN(test_bad_requests);
	RUN(test_event);
	return 0;
}
