package sim

import "testing"

func TestPoolingCalls(t *testing.T) {
	s := start(t, Config{})
	for _, c := range []struct{ path, body, want string }{
		{"/v1/embeddings", `{"model":"tiny","input":["a","b"]}`, `"object":"embedding","embedding":[`},
		{"/v2/embed", `{"model":"tiny","texts":["a"]}`, `"embeddings":{"float":[[`},
		{"/pooling", `{"model":"tiny","input":"a"}`, `"object":"pooling"`},
		{"/classify", `{"model":"tiny","input":"a"}`, `"num_classes":2`},
		{"/score", `{"model":"tiny","text_1":"a","text_2":["b","c"]}`, `"index":1,"object":"score"`},
		{"/v1/score", `{"model":"tiny","queries":["a","b"],"documents":["b","c"]}`, `"object":"score"`},
		{"/rerank", `{"model":"tiny","query":"a","documents":["b","c"]}`, `"document":{"text":"c","multi_modal":null}`},
		{"/v2/rerank", `{"model":"tiny","query":"a","documents":["b"]}`, `"relevance_score":`},
	} {
		checkAnswer(t, s, c.path, c.body, c.want)
	}
	if r := postTo(t, s, "/score", `{"text_1":["a","b"],"text_2":["a","b","c"]}`); r.status != 400 {
		t.Errorf("score of 2:3: %d", r.status)
	}
}
