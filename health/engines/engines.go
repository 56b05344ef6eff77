package engines

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"

	dto "github.com/prometheus/client_model/go"

	"tether/upstream/load"
)

// Errors of a page, in words for people.
var (
	ErrTooLarge  = errors.New("the page is too large")
	ErrForeign   = errors.New("the page has no figures of vLLM's engines")
	ErrMalformed = errors.New("the page is not in the text form of Prometheus")
	ErrAbsurd    = errors.New("the page has a figure that cannot be")
	// ErrIncomplete says that an engine has some of its figures, and lacks others that every version of vLLM has. Those that are there
	// count.
	ErrIncomplete = errors.New("the page lacks some of the figures of vLLM's engines")
)

// Engines are the figures of the engines of one server, by rank. An engine that has had no request yet may have none: so it is where a server
// has several processes for its API, as with data-parallel ranks.
type Engines []load.EngineLoad

// unknown are the figures of an engine that says nothing.
var unknown = load.EngineLoad{Running: load.Unknown, Waiting: load.Unknown, KVUsage: load.Unknown, KVCapacity: load.Unknown}

// Engines reads the figures of a page that has arrived as a whole. The page ends with a line end. The figures are nil with any error but
// ErrIncomplete.
func (p *Page) Engines() (Engines, error) {
	if p.tooLarge {
		return nil, ErrTooLarge
	}
	if isWanted(p.kept[p.line:]) { // it has no end: the page is not whole
		return nil, ErrMalformed
	}
	families, err := p.families(p.kept[:p.line])
	if err != nil {
		return nil, ErrMalformed
	}
	t := table{}
	if err := t.read(families); err != nil {
		return nil, err
	}
	if len(t) == 0 {
		return nil, ErrForeign
	}
	if !t.date(families[began]) {
		return nil, ErrAbsurd
	}
	es, complete := t.byRank(len(families[cacheInfo].GetMetric()))
	if !complete {
		return es, ErrIncomplete
	}
	return es, nil
}

// maxCount is more requests than an engine can have, maxTokens more than a cache can hold.
const (
	maxCount  = 1e9
	maxTokens = 1e12
)

// table has the figures by the number of their engine.
type table map[int]*load.EngineLoad

func (t table) read(families map[string]*dto.MetricFamily) error {
	usage := families[kvUsage]
	if usage == nil {
		usage = families[olderUsage]
	}
	infos := families[cacheInfo]
	for _, r := range []struct {
		family *dto.MetricFamily
		enter  func(*load.EngineLoad, *dto.Metric) bool
	}{
		{families[running], func(l *load.EngineLoad, m *dto.Metric) bool { return count(m, &l.Running) }},
		{families[waiting], func(l *load.EngineLoad, m *dto.Metric) bool { return count(m, &l.Waiting) }},
		{usage, func(l *load.EngineLoad, m *dto.Metric) bool { return share(m, &l.KVUsage) }},
		{infos, func(l *load.EngineLoad, m *dto.Metric) bool {
			l.KVBlock = blockSize(m)
			return capacity(m, len(infos.GetMetric()), &l.KVCapacity)
		}},
	} {
		for _, m := range r.family.GetMetric() {
			l := t.engine(m)
			if l == nil || !r.enter(l, m) {
				return ErrAbsurd
			}
		}
	}
	return nil
}

// engine returns the figures of the engine that the sample is of, nil if its label is no number. Older versions of vLLM have one engine and
// no such label.
func (t table) engine(m *dto.Metric) *load.EngineLoad {
	number, err := strconv.Atoi(label(m, "engine", "0"))
	if err != nil || number < 0 || number >= maxEngines {
		return nil
	}
	l := t[number]
	if l == nil {
		l = new(unknown)
		t[number] = l
	}
	return l
}

// count reads a number of requests. It returns false for a value that cannot be, as all readers of figures do.
func count(m *dto.Metric, into *int64) bool {
	v := m.GetUntyped().GetValue()
	if !(v >= 0 && v <= maxCount && v == math.Trunc(v)) {
		return false
	}
	*into = int64(v)
	return true
}

// share reads a part of 1.
func share(m *dto.Metric, into *float64) bool {
	*into = m.GetUntyped().GetValue()
	return *into >= 0 && *into <= 1
}

// capacity reads the size of an engine's KV cache in tokens from the labels of cacheInfo. It stays Unknown if the server does not tell it,
// or if the model has none.
//
// kv_cache_size_tokens, where vLLM has it, is that of one engine, and is right for hybrid models, whose layers share the blocks out to
// caches of several kinds. num_gpu_blocks is the sum over all engines of the server: vLLM adds the blocks of each as it starts.
func capacity(m *dto.Metric, engines int, into *int64) bool {
	size, ok := number(m, "kv_cache_size_tokens")
	if size > 0 || !ok {
		*into = size
		return ok
	}
	blocks, ok1 := number(m, "num_gpu_blocks")
	block, ok2 := number(m, "block_size")
	if !ok1 || !ok2 || block > 0 && blocks > maxTokens/block {
		return false
	}
	if tokens := blocks * block / int64(engines); tokens > 0 {
		*into = tokens
	}
	return true
}

// blockSize returns the size of a block of the KV cache in tokens, 0 if the server does not tell it.
func blockSize(m *dto.Metric) int64 {
	size, ok := number(m, "block_size")
	if !ok {
		return 0
	}
	return size
}

// maxTime is later than any process begins, in Unix seconds.
const maxTime = 1e11

// date tells all engines when the process of the server began. Servers with several processes for their API do not say it.
func (t table) date(family *dto.MetricFamily) bool {
	for _, m := range family.GetMetric() {
		v := m.GetUntyped().GetValue()
		if !(v > 0 && v < maxTime) {
			return false
		}
		for _, l := range t {
			l.Began = v
		}
	}
	return true
}

// number reads a label that is a number of 1 and more: 0 if it is absent, 0 or None. ok is false if it is anything else.
func number(m *dto.Metric, name string) (n int64, ok bool) {
	text := label(m, name, "None")
	if text == "None" {
		return 0, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0 && n <= maxTokens
}

func label(m *dto.Metric, name, otherwise string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return otherwise
}

// maxEngines is more engines than a server has.
const maxEngines = 4096

// byRank returns the figures by rank, and whether each engine has either all or none. vLLM takes a rank for the place of the engine in the order
// of the numbers, which need not begin with 0. listed is the number of engines of which the page tells the cache: those are all there are. A
// page that does not list them may lack engines, so there a number counts as the rank.
func (t table) byRank(listed int) (es Engines, complete bool) {
	complete = true
	for _, number := range slices.Sorted(maps.Keys(t)) {
		for listed < len(t) && len(es) < number {
			es = append(es, unknown)
		}
		l := t[number]
		es = append(es, *l)
		known := 0
		for _, is := range []bool{l.Running >= 0, l.Waiting >= 0, l.KVUsage >= 0} {
			if is {
				known++
			}
		}
		complete = complete && known%3 == 0
	}
	return es, complete
}

// Of returns the figures of a data-parallel rank of the server, or those of all its engines together for a rank below 0. A rank without an
// engine has no known figure.
func (es Engines) Of(rank int) load.EngineLoad {
	switch {
	case rank < 0:
		return es.together()
	case rank < len(es):
		return es[rank]
	}
	return unknown
}

// together adds up the figures of all engines. A figure is unknown if that of one engine is, but an engine without requests counts as idle
// beside one that has some. The usage is that of the average cache.
func (es Engines) together() load.EngineLoad {
	all, silent := load.EngineLoad{}, 0
	for _, l := range es {
		all.KVBlock, all.Began = max(all.KVBlock, l.KVBlock), max(all.Began, l.Began)
		all.KVCapacity = sum(all.KVCapacity, l.KVCapacity)
		if l.Running == load.Unknown && l.Waiting == load.Unknown && l.KVUsage == load.Unknown {
			silent++
			continue
		}
		all.Running, all.Waiting = sum(all.Running, l.Running), sum(all.Waiting, l.Waiting)
		all.KVUsage = sum(all.KVUsage, l.KVUsage)
	}
	if silent == len(es) {
		all.Running, all.Waiting, all.KVUsage = load.Unknown, load.Unknown, load.Unknown
	}
	if all.KVUsage != load.Unknown {
		all.KVUsage /= float64(len(es))
	}
	return all
}

// sum adds two figures, or returns Unknown if one of them is.
func sum[T int64 | float64](a, b T) T {
	if a == load.Unknown || b == load.Unknown {
		return load.Unknown
	}
	return a + b
}
