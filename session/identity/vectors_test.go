package identity

import "testing"

// Derived ids are a promise across replicas and releases: these conversations keep theirs. Only a release that says so may
// change one of them.
func TestFrozenOpenings(t *testing.T) {
	for _, c := range []struct {
		shape  Shape
		caller string
		body   string
		id     string
	}{
		{Chat, "", `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`, "ae08781d-d2cd-8f94-9123-924b6bf9180d"},
		{Chat, "", `{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Why?"}]}`, "23d1da3b-9a22-81bb-a2da-0fc9804a6a0d"},
		{Chat, "Bearer sk-1", `{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]}`, "1ba84e99-52c9-8139-a002-462ad5ff690d"},
		{Chat, "", `{"messages":[{"role":"user","content":"a\/b \u003cé> \u0022\ud83d\ude00\"\u000a\\u\u0009"}]}`, "5a28c18d-895c-8f4a-b319-3ef439dd840d"},
		{Chat, "", `{"model":"m","system":[{"type":"text","text":"x-anthropic-billing-header: cch=1;"},{"type":"text","text":"S","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]}`, "c56e346b-2392-86a5-b91c-91962803b40d"},
		{Chat, "", `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}}]}]}`, "172cda39-60ac-8021-b5c7-26e92275e00d"},
		{Chat, "", `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}},{"type":"image_url","image_url":{"url":"data:image/png;base64,REVG"}},{"type":"text","text":"Look"}]}]}`, "6cf6a242-70f1-8e1d-b335-402c795bba0d"},
		{Chat, "", `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"https://example.com/a/b.png"}}]}]}`, "d6cee13e-ddcc-87fb-836a-44378edf4a0d"},
		{Chat, "", `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":"HTTPS://example.com/caf\u00e9.png"}]}]}`, "0effd599-d88a-8a50-9818-19969d5dc90d"},
		{Chat, "", `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"QUJD"},"cache_control":{"type":"ephemeral"}}]}]}`, "ebcd007f-6219-8c67-a01d-59046581a80d"},
		{Chat, "", `{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"QUJD","format":"wav"}},{"type":"video_url","video_url":{"url":"file:///a?b#c"}}]}]}`, "e673bea9-a809-8c10-8a0c-be819ed3260d"},
		{Responses, "", `{"model":"m","input":"Hi"}`, "ae08781d-d2cd-8f94-9123-924b6bf9180d"},
		{Responses, "", `{"model":"m","instructions":"S","input":[{"role":"developer","content":"D"},{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"},{"type":"input_image","image_url":"data:image/png;base64,QUJD"}]}]}`, "b79d0083-6944-8924-add0-fb020201a00d"},
	} {
		r := request{body: c.body, shape: c.shape}
		if c.caller != "" {
			r.headers = []string{"Authorization: " + c.caller}
		}
		if got, _ := r.identify(mustIdentifier(t, nil)); string(got.ID()) != c.id {
			t.Errorf("%s: %s, want %s", c.body, got.ID(), c.id)
		}
	}
}
