package config

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"tether/discovery"
	"tether/discovery/dns"
	"tether/discovery/kube"
	"tether/files"
	"tether/ring"
)

// Discovery is one source of upstreams that come and go. Exactly one of File, DNS and Kubernetes is set.
type Discovery struct {
	// File is a YAML or JSON file with a list of upstreams, with the keys of the list upstreams.
	File string `yaml:"file,omitempty"`
	// DNS is a name whose records are the upstreams.
	DNS dns.Config `yaml:"dns,omitempty"`
	// Kubernetes is a service whose pods are the upstreams.
	Kubernetes kube.Config `yaml:"kubernetes,omitempty"`
	// Scheme is http or https: what the servers of DNS and Kubernetes speak. Default: http.
	Scheme string `yaml:"scheme,omitempty"`
	// Upstream has the keys that all servers of DNS and Kubernetes share.
	Upstream Upstream `yaml:"upstream,omitempty"`
}

// Values of Scheme.
const (
	schemeHTTP  = "http"
	schemeHTTPS = "https"
)

// Label names the source in logs, metrics and the API: file:PATH, dns:NAME, dns:NAME/TYPE, kubernetes:SERVICE or
// kubernetes:NAMESPACE/SERVICE. The sources of a configuration have different labels.
func (d *Discovery) Label() string {
	switch {
	case d.File != "":
		return "file:" + d.File
	case d.DNS != (dns.Config{}):
		if d.DNS.Type != "" {
			return "dns:" + d.DNS.Name + "/" + d.DNS.Type
		}
		return "dns:" + d.DNS.Name
	case d.Kubernetes.Namespace != "":
		return "kubernetes:" + d.Kubernetes.Namespace + "/" + d.Kubernetes.Service
	}
	return "kubernetes:" + d.Kubernetes.Service
}

// setText sets the source from file:PATH, dns:NAME:PORT, srv:NAME or kubernetes:NAMESPACE/SERVICE:PORT, as the environment has it.
func (d *Discovery) setText(text string) error {
	kind, rest, _ := strings.Cut(text, ":")
	name, port, _ := strings.Cut(rest, ":")
	switch kind {
	case "file":
		d.File = rest
	case "dns":
		n, err := strconv.Atoi(port)
		if err != nil {
			return fmt.Errorf("%q, want dns:NAME:PORT", text)
		}
		d.DNS = dns.Config{Name: name, Port: n}
	case "srv":
		d.DNS = dns.Config{Name: rest, Type: "SRV"}
	case "kubernetes":
		d.Kubernetes = kube.Config{Service: name, Port: port}
		if namespace, service, both := strings.Cut(name, "/"); both {
			d.Kubernetes.Namespace, d.Kubernetes.Service = namespace, service
		}
	default:
		return fmt.Errorf("%q, want file:PATH, dns:NAME:PORT, srv:NAME or kubernetes:NAMESPACE/SERVICE:PORT", text)
	}
	return nil
}

// kinds returns the kinds of source that are set.
func (d *Discovery) kinds() (kinds []string) {
	if d.File != "" {
		kinds = append(kinds, "file")
	}
	if d.DNS != (dns.Config{}) {
		kinds = append(kinds, "dns")
	}
	if d.Kubernetes != (kube.Config{}) {
		kinds = append(kinds, "kubernetes")
	}
	return kinds
}

// maxSources limits the sources.
const maxSources = 64

func (l *loader) discovery() {
	c := l.cfg
	if len(c.Discovery) > maxSources {
		l.problem("discovery", fmt.Sprintf("%d, want at most %d", len(c.Discovery), maxSources))
	}
	labels := map[string]int{}
	for i := range c.Discovery {
		d := &c.Discovery[i]
		at := fmt.Sprintf("discovery[%d]", i)
		report := func(key, problem string) { l.problem(join(at, key), problem) }
		kinds := d.kinds()
		if len(kinds) != 1 {
			l.problem(at, cmp.Or(strings.Join(kinds, " and "), "no source")+", want one of file, dns and kubernetes")
			continue
		}
		if first, twice := labels[d.Label()]; twice {
			l.problem(at, fmt.Sprintf("%s is the source of discovery[%d] already", d.Label(), first))
		}
		labels[d.Label()] = i
		d.validate(report)
	}
}

// validate checks the keys of a source of one kind.
func (d *Discovery) validate(report func(key, problem string)) {
	below := func(parent string) func(key, problem string) {
		return func(key, problem string) { report(join(parent, key), problem) }
	}
	switch d.kinds()[0] {
	case "file":
		if d.Scheme != "" || !reflect.DeepEqual(d.Upstream, Upstream{}) {
			report("file", "with scheme or upstream, want these keys in the file")
		}
		return
	case "dns":
		d.DNS.Validate(below("dns"))
	default:
		d.Kubernetes.Validate(below("kubernetes"))
	}
	if d.Scheme != "" && d.Scheme != schemeHTTP && d.Scheme != schemeHTTPS {
		report("scheme", fmt.Sprintf("%q, want http or https", d.Scheme))
	}
	u := &d.Upstream
	if u.Name != "" || u.URL != "" || u.Slot != nil || u.Drain {
		report("upstream", "has name, url, slot or drain, which differ from server to server: leave them out")
	}
	u.validateShared(cmp.Or(d.Scheme, schemeHTTP)+"://", below("upstream"))
}

// validateShared checks the keys that many upstreams of one scheme may have in common.
func (u *Upstream) validateShared(scheme string, report func(key, problem string)) {
	u.validateOptions(report)
	u.validateModels(report)
	u.validateWeight(report)
	if n := u.DataParallelRanks; n < 0 || n > ring.MaxSlots {
		report("data_parallel_ranks", fmt.Sprintf("%d, want 0..%d", n, ring.MaxSlots))
	}
	like := *u
	like.URL = scheme
	like.validateTLS(report)
}

// Set is what one source has found: a list of a file, or servers to which the keys of the source apply.
type Set struct {
	Listed []Upstream
	Found  []discovery.Found
}

// Size returns the number of upstreams of the set, 0 for nil.
func (s *Set) Size() int {
	if s == nil {
		return 0
	}
	return len(s.Listed) + len(s.Found)
}

// upstreams returns the upstreams of a set, with the keys of the source.
func (d *Discovery) upstreams(s *Set) []Upstream {
	if s == nil {
		return nil
	}
	all := append([]Upstream{}, s.Listed...)
	for _, f := range s.Found {
		u := d.Upstream
		u.Name, u.URL, u.Slot, u.Drain = f.Name, cmp.Or(d.Scheme, schemeHTTP)+"://"+f.Address, f.Slot, f.Drain
		if f.Weight != nil {
			u.Weight = f.Weight
		}
		if f.Models != nil {
			u.Models = f.Models
		}
		all = append(all, u)
	}
	return all
}

// maxList limits a file with a list of upstreams, in bytes.
const maxList = 16 << 20

// ReadList reads a file with a list of upstreams, and returns it with the files that its upstreams name. The error is everything that is
// wrong with the file. An empty list is allowed; an empty file is not, because it may be half written.
func ReadList(path string) (list []Upstream, named []string, err error) {
	text, err := files.Read(path, "a list of upstreams", maxList)
	if err != nil {
		return nil, nil, err
	}
	l := &loader{cfg: Default(), source: path, places: map[string]place{}, broken: map[string]bool{}, problems: &Problems{}}
	l.cfg.Discovery = []Discovery{{File: path}} // the list may be empty
	body, ok := l.parse(path, text)
	if !ok {
		return nil, nil, l.problems
	}
	if body == nil {
		return nil, nil, errors.New(path + ": no list in it, want a list of upstreams, or [] for none")
	}
	l.list(path, body)
	l.upstreams()
	if len(l.problems.list) > 0 {
		return nil, nil, l.problems
	}
	return l.cfg.Upstreams, l.cfg.Files(), nil
}

// list sets the upstreams from a file that has nothing else.
func (l *loader) list(path string, body ast.Node) {
	t := tree{loader: l, file: path, anchors: anchorsIn(body)}
	t.set("upstreams", reflect.ValueOf(l.cfg).Elem().FieldByName("Upstreams"), body)
}
