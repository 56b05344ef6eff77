package sim

import (
	"fmt"
	"strings"

	"tether/sim/engine"
)

// score compares one text, or as many as there are in the second list, with each text of the second list.
func (a *answer) score() {
	var q struct {
		options
		Text1     texts `json:"text_1"`
		Text2     texts `json:"text_2"`
		Queries   texts `json:"queries"`
		Documents texts `json:"documents"`
	}
	if !a.decode(&q) {
		return
	}
	queries, documents := tokenizeAll(append(q.Text1, q.Queries...)), tokenizeAll(append(q.Text2, q.Documents...))
	if len(queries) == 0 || (len(queries) > 1 && len(queries) != len(documents)) {
		a.fail(badRequest("", "Input lengths must be either 1:1, 1:N or N:N"))
		return
	}
	c, t, ok := a.pooled(q.options, append(queries, documents...))
	if !ok {
		return
	}
	var items []string
	for i, d := range documents {
		s := similarity(queries[i%len(queries)], d)
		items = append(items, fmt.Sprintf(`{"index":%d,"object":"score","score":%s}`, i, pyFloat(s)))
	}
	c.ok(`{"id":%s,"object":"list","created":%d,"model":%s,"data":[%s],"usage":%s}`,
		quote("score-"+c.id), c.created, quote(c.model), strings.Join(items, ","), usageJSON(t, "null"))
}

// rerank scores documents against a query. They come back in the order in which they were sent.
func (a *answer) rerank() {
	var q struct {
		options
		Query     string   `json:"query"`
		Documents []string `json:"documents"`
	}
	if !a.decode(&q, "query", "documents") {
		return
	}
	query, documents := engine.Tokenize(q.Query), tokenizeAll(q.Documents)
	c, t, ok := a.pooled(q.options, append(documents, query))
	if !ok {
		return
	}
	var items []string
	for i, d := range documents {
		items = append(items, fmt.Sprintf(`{"index":%d,"document":{"text":%s,"multi_modal":null},"relevance_score":%s}`,
			i, quote(q.Documents[i]), pyFloat(similarity(query, d))))
	}
	c.ok(`{"id":%s,"model":%s,"usage":{"prompt_tokens":%d,"total_tokens":%[3]d},"results":[%s]}`,
		quote("rerank-"+c.id), quote(c.model), t.Prompt, strings.Join(items, ","))
}
