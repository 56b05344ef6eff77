package sim

import (
	"encoding/json"
	"fmt"
	"strings"

	"tether/sim/engine"
)

// The calls of pooling models get the smallest answer that their clients can read. The numbers in it follow from the input.

// embeddingsRequest is the body of /v1/embeddings and of the calls that are like it.
type embeddingsRequest struct {
	options
	Input promptField `json:"input"`
}

// pool runs the prefill of the inputs, and calls reply to answer.
func pool(a *answer, o options, inputs [][]engine.Token, reply func(*call, engine.Tally)) error {
	o.N = nil
	return a.call(o, nil, given(inputs...), func(c *call) error {
		c.job.Max = 0
		t, err := c.run(nil)
		if err == nil {
			reply(c, t)
		}
		return err
	})
}

// poolEach answers with one item for each input, in the list that several calls share.
func poolEach(a *answer, q embeddingsRequest, prefix string, item func(input []engine.Token) string) error {
	inputs, err := q.Input.required()
	if err != nil {
		return err
	}
	return pool(a, q.options, inputs, func(c *call, t engine.Tally) {
		c.poolList(prefix, each(inputs, func(i int, input []engine.Token) string {
			return fmt.Sprintf(`{"index":%d,%s}`, i, item(input))
		}), t)
	})
}

func (c *call) poolList(prefix, items string, t engine.Tally) {
	c.ok(`{"id":%s,"object":"list","created":%d,"model":%s,"data":[%s],"usage":%s}`,
		quote(prefix+c.id), c.created, quote(c.model), items, usageJSON(t, "null"))
}

func embeddings(a *answer, q embeddingsRequest) error {
	return poolEach(a, q, "embd-", func(input []engine.Token) string {
		return `"object":"embedding","embedding":` + vector(input)
	})
}

func pooling(a *answer, q embeddingsRequest) error {
	return poolEach(a, q, "pool-", func(input []engine.Token) string {
		return `"object":"pooling","data":` + vector(input)
	})
}

func classify(a *answer, q embeddingsRequest) error {
	return poolEach(a, q, "classify-", func(input []engine.Token) string {
		p := similarity(input, nil)
		return fmt.Sprintf(`"label":"LABEL_0","probs":[%s,%s],"num_classes":2`, pyFloat(p), pyFloat(1-p))
	})
}

type embedRequest struct {
	options
	Texts []string `json:"texts"`
}

func cohereEmbed(a *answer, q embedRequest) error {
	inputs := tokenizeAll(q.Texts)
	return pool(a, q.options, inputs, func(c *call, _ engine.Tally) {
		vectors := each(inputs, func(_ int, input []engine.Token) string { return vector(input) })
		c.ok(`{"id":%s,"embeddings":{"float":[%s]},"response_type":"embeddings_by_type"}`, quote("embd-"+c.id), vectors)
	})
}

// scoreRequest is the body of /score. Its texts have two names each.
type scoreRequest struct {
	options
	Text1     texts `json:"text_1"`
	Text2     texts `json:"text_2"`
	Queries   texts `json:"queries"`
	Documents texts `json:"documents"`
}

// score compares one text with each text of the second list, or each text of the first list with the one at its place in the
// second.
func score(a *answer, q scoreRequest) error {
	queries, documents := tokenizeAll(append(q.Text1, q.Queries...)), tokenizeAll(append(q.Text2, q.Documents...))
	if len(queries) == 0 || (len(queries) > 1 && len(queries) != len(documents)) {
		return badRequest("", "Input lengths must be either 1:1, 1:N or N:N")
	}
	return pool(a, q.options, append(queries, documents...), func(c *call, t engine.Tally) {
		c.poolList("score-", each(documents, func(i int, d []engine.Token) string {
			s := similarity(queries[i%len(queries)], d)
			return fmt.Sprintf(`{"index":%d,"object":"score","score":%s}`, i, pyFloat(s))
		}), t)
	})
}

// rerankRequest is the body of /rerank.
type rerankRequest struct {
	options
	Query     string   `json:"query"`
	Documents []string `json:"documents"`
}

// rerank scores documents against a query. The answer keeps the order of the request.
func rerank(a *answer, q rerankRequest) error {
	query, documents := engine.Tokenize(q.Query), tokenizeAll(q.Documents)
	return pool(a, q.options, append(documents, query), func(c *call, t engine.Tally) {
		results := each(documents, func(i int, d []engine.Token) string {
			return fmt.Sprintf(`{"index":%d,"document":{"text":%s,"multi_modal":null},"relevance_score":%s}`,
				i, quote(q.Documents[i]), pyFloat(similarity(query, d)))
		})
		c.ok(`{"id":%s,"model":%s,"usage":{"prompt_tokens":%d,"total_tokens":%[3]d},"results":[%s]}`,
			quote("rerank-"+c.id), quote(c.model), t.Prompt, results)
	})
}

// vector is eight numbers in [0, 1).
func vector(input []engine.Token) string {
	h := engine.Hash(0, input)
	numbers := make([]string, 8)
	for i := range numbers {
		numbers[i] = pyFloat(unit(engine.Mix(h, uint64(i))))
	}
	return "[" + strings.Join(numbers, ",") + "]"
}

// similarity is a number in [0, 1).
func similarity(query, document []engine.Token) float64 {
	return unit(engine.Hash(engine.Hash(0, query), document))
}

// unit maps a hash to [0, 1), in steps of 1/1024 that a float holds exactly.
func unit(h uint64) float64 { return float64(h%1024) / 1024 }

func tokenizeAll(texts []string) [][]engine.Token {
	var out [][]engine.Token
	for _, t := range texts {
		out = append(out, engine.Tokenize(t))
	}
	return out
}

// texts is one text or a list of texts.
type texts []string

// UnmarshalJSON tries both forms.
func (t *texts) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(t))
}
