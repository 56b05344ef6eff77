package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tether/config"
)

// module is the path of this module.
const module = "tether"

// layer names the packages of this module that a package may import, and why it may import no others.
type layer struct {
	imports []string
	why     string
}

// layers are the packages from the bottom up. The root package may import cli alone.
var layers = map[string]layer{
	"ring":         {nil, "placement is a pure function: it can be tested and compared across processes alone"},
	"failure":      {nil, "a kind of failure is a name: what follows it is decided by the packages that import it"},
	"wire":         {[]string{"failure", "wire/loop"}, "a socket knows no rules of HTTP or of routing"},
	"http1":        {nil, "the rules of HTTP/1 know no sockets: they are tested and fuzzed over bytes"},
	"files":        {nil, "how a file is read and followed does not depend on its contents"},
	"tlsfiles":     {[]string{"files"}, "a certificate does not know who shows it"},
	"logs":         {nil, "how a line is written does not depend on what it says"},
	"units":        {nil, "a quantity does not know what it measures"},
	"limit":        {nil, "a limit counts without knowing what it limits"},
	"auth":         {[]string{"files", "limit"}, "a key has an owner, whatever the key opens"},
	"sim":          {[]string{"sim/engine", "sim/fault"}, "the simulator must not share the code that it tests"},
	"sim/engine":   {nil, "an engine turns tokens into tokens, and knows nothing of HTTP"},
	"sim/fault":    {nil, "a fault is chosen without knowing what it breaks"},
	"upstream":     {[]string{"limit", "upstream/drain", "upstream/load", "upstream/models", "upstream/transport"}, "who the upstreams are does not depend on who sends them requests or why"},
	"jsonscan":     {nil, "a JSON text is read without knowing what its fields mean"},
	"session":      {[]string{"ring", "session/balance", "session/identity", "session/pins", "session/prefill", "session/replicas", "session/shared", "upstream", "upstream/load", "upstream/models"}, "routing decides where a request goes without knowing how its bytes get there"},
	"discovery":    {[]string{"ring", "upstream"}, "a source names servers and does not know who uses them"},
	"health":       {[]string{"failure", "health/engines", "upstream", "upstream/load", "upstream/models", "upstream/transport"}, "health changes the upstream's state and nothing else"},
	"proxy":        {[]string{"auth", "failure", "http1", "session", "session/balance", "session/fates", "session/identity", "session/openings", "session/prefill", "session/warm", "traceparent", "units", "upstream", "upstream/transport", "wire", "wire/loop"}, "the data plane does not know what watches or drives it"},
	"tracing":      {[]string{"failure", "proxy", "session"}, "tracing observes and changes nothing"},
	"accesslog":    {[]string{"proxy", "session"}, "logging observes and changes nothing"},
	"metrics":      {[]string{"failure", "proxy", "session", "session/balance", "session/fates", "session/identity", "session/openings", "session/pins", "session/prefill", "session/store", "upstream"}, "counting observes and changes nothing"},
	"status":       {[]string{"proxy", "session", "session/balance", "session/fates", "session/identity", "session/pins", "upstream"}, "what pages show is collected without knowing who looks at it, and changes nothing"},
	"top":          {[]string{"status"}, "a terminal shows what it is given, and does not know how to ask"},
	"preview":      {[]string{"ring", "session", "upstream", "upstream/transport"}, "what would change is computed without changing it, and without knowing who asks"},
	"admin":        {[]string{"admin/page", "preview", "session", "session/identity", "session/local", "session/pins", "session/prefill", "session/shared", "session/store", "status", "upstream"}, "operators drive upstreams and pins, never requests"},
	"config":       {[]string{"accesslog", "admin", "auth", "discovery", "discovery/dns", "discovery/kube", "files", "health", "proxy", "ring", "session", "session/identity", "session/pins", "session/prefill", "session/store", "tlsfiles", "tracing", "upstream", "upstream/transport"}, "config composes what the parts define; only app and cli import it"},
	"app":          {[]string{"accesslog", "admin", "auth", "config", "discovery", "discovery/dns", "discovery/kube", "files", "health", "logs", "metrics", "proxy", "session", "session/balance", "session/fates", "session/identity", "session/local", "session/openings", "session/pins", "session/shared", "session/snapshot", "session/store", "session/prefill", "session/warm", "status", "tlsfiles", "traceparent", "tracing", "upstream", "wire", "wire/loop", "wire/passing"}, "app wires the parts together and knows no command line"},
	"admin/page":   {nil, "the page knows the API alone, as every other client does"},
	"admin/client": {nil, "a client knows the admin listener from outside, as every other program does"},
	"cli":          {[]string{"admin", "admin/client", "app", "config", "demo", "logs", "preview", "session", "session/identity", "sim", "status", "top"}, "commands read flags and print; app and the parts do the work"},
	".":            {[]string{"cli"}, "main.go is a table of contents"},
	"demo":         {[]string{"sim"}, "the demo uses tether as its users do, over HTTP, and cannot look inside"},
	"e2e":          {[]string{"e2e/binary", "e2e/live", "sim", "tlsfiles/tlstest", "wire/wiretest"}, "these tests know tether as users do, by its binary"},
	"e2e/image":    {[]string{"sim", "wire/wiretest"}, "these tests know tether as users do, by its image"},

	"discovery/kube":     {[]string{"discovery", "files", "ring"}, "pods are found without knowing who uses them"},
	"discovery/dns":      {[]string{"discovery"}, "a name is resolved without knowing who uses its servers"},
	"health/engines":     {[]string{"upstream/load"}, "a page of metrics is read without knowing where it came from"},
	"upstream/drain":     {nil, "which sessions leave does not depend on which upstream they leave"},
	"upstream/load":      {nil, "how busy an upstream is does not depend on which upstream it is"},
	"upstream/models":    {nil, "a list of models does not know who serves them"},
	"upstream/transport": {[]string{"failure", "http1", "wire"}, "a connection carries requests and does not know where they should go"},
	"session/replicas":   {nil, "whether other processes serve the same conversations is judged by follow-ups alone"},
	"wire/loop":          {[]string{"wire/uring"}, "an event loop knows connections and their drivers, and no rules about bytes"},
	"wire/uring":         {nil, "the kernel's queues know operations, and not what they are for"},
	"wire/wiretest":      {nil, "addresses for tests"},
	"wire/passing":       {nil, "a socket is passed without knowing who listens on it"},
	"session/openings":   {nil, "what conversations have in common is learned without knowing what an opening is"},
	"session/balance":    {nil, "the rule of placement is a function of numbers: it can be tested with tables alone"},
	"session/identity":   {[]string{"http1", "jsonscan", "session/openings"}, "whose session a request belongs to does not depend on the upstreams"},
	"session/prefill":    {[]string{"session/warm"}, "how much work a prompt is does not depend on the server that does it"},
	"traceparent":        {nil, "the field of a header knows neither requests nor exporters"},
	"session/fates":      {[]string{"session/balance"}, "what became of a prompt follows from numbers, whoever collected them"},
	"session/warm":       {nil, "whether caches lose prompts shows in the turns of conversations, whoever they are and wherever they go"},
	"session/snapshot":   {[]string{"session/identity", "session/openings", "session/pins", "upstream"}, "a file keeps where sessions are and decides nothing"},
	"session/local":      {[]string{"session/pins", "session/shared", "upstream", "upstream/load"}, "maps and upstreams follow what processes know together, and decide nothing"},
	"session/shared":     {[]string{"session/identity"}, "the rule by which processes agree knows no network, no clock and no upstreams: it is checked by exhaustive search"},
	"session/store":      {[]string{"session/identity", "session/shared", "tlsfiles"}, "a store carries what processes tell each other, and knows neither requests nor upstreams"},
	"session/pins":       {[]string{"session/identity", "upstream"}, "the map remembers where sessions are and decides nothing"},
	"bench/simtime":      {nil, "simulated time does not know what happens in it"},
	"bench/load":         {[]string{"bench/simtime", "ring", "session", "session/balance", "session/identity", "session/local", "session/pins", "session/prefill", "session/shared", "upstream", "upstream/load"}, "a benchmark drives the parts as proxy and session/store do"},
	"bench/identity":     {[]string{"bench/simtime", "proxy", "session", "session/balance", "session/identity", "session/openings", "session/pins", "session/prefill", "units", "upstream"}, "a benchmark drives the parts as app does"},
	"tlsfiles/tlstest":   {nil, "certificates for tests"},
	"e2e/binary":         {[]string{"wire/wiretest"}, "helpers of the tests that know tether by its binary"},
	"e2e/live":           {nil, "conversations know HTTP alone: tests say what changes under them"},
	"e2e/clients/vllm":   {[]string{"e2e/binary", "e2e/live"}, "these tests know tether as users do, by its binary"},
	"e2e/browser":        {[]string{"e2e/binary", "sim", "wire/wiretest"}, "these tests know tether as users do, by its binary"},
	"e2e/clients":        {[]string{"e2e/binary", "sim"}, "these tests know tether as users do, by its binary"},
	"e2e/endurance":      {[]string{"e2e/binary", "sim", "tlsfiles/tlstest"}, "these tests know tether as users do, by its binary"},
	"e2e/logs":           {[]string{"e2e/binary", "sim"}, "these tests know tether as users do, by its binary"},
	"e2e/haproxy":        {[]string{"e2e/binary", "sim", "wire/wiretest"}, "these tests know tether as users do, by its binary"},
	"e2e/chaos":          {[]string{"e2e/binary", "bench/compare/peers", "e2e/chaos/compare", "e2e/chaos/fleet", "e2e/chaos/ledger", "e2e/chaos/plan", "e2e/chaos/talk", "e2e/chaos/verdict", "sim/fault"}, "chaos knows tether as users and operators do, by its binary"},
	"e2e/chaos/fleet":    {[]string{"e2e/binary", "e2e/chaos/ledger", "sim", "sim/fault"}, "processes are started and broken without knowing who talks to them"},
	"e2e/chaos/talk":     {[]string{"e2e/chaos/ledger", "sim", "sim/engine"}, "clients know what is right, and not what tether or the faults do"},
	"e2e/chaos/compare":  {[]string{"e2e/chaos/ledger"}, "figures are counted without knowing whose they are"},
	"e2e/chaos/verdict":  {[]string{"e2e/chaos/ledger"}, "a judge reads what was seen, and takes part in nothing"},
	"e2e/chaos/plan":     {nil, "faults follow from a seed, not from what happens"},
	"e2e/chaos/ledger":   {nil, "what was seen is noted without a judgement"},
	"e2e/replicas":       {[]string{"e2e/binary", "session/store/storetest", "sim", "wire/wiretest"}, "these tests know tether as users do, by its binary"},
	"e2e/vectors":        {[]string{"e2e/binary", "wire/wiretest"}, "a shared reading of HTTP would share its mistakes"},

	"bench/compare":           {[]string{"bench/compare/peers", "bench/compare/traffic", "ring", "session/identity", "session/pins", "upstream"}, "a comparison knows tether by its binary, as it knows the other proxies; only the session map, which they lack, is measured from inside"},
	"bench/compare/peers":     {nil, "a proxy is started and measured without knowing its load"},
	"discovery/dns/dnstest":   {nil, "a server for tests: they say what it answers"},
	"session/store/storetest": {[]string{"wire/wiretest"}, "servers for tests"},
	"bench/compare/traffic":   {nil, "load and upstreams do not know which proxy is between them, and share no mistake with tether"},
}

// homes are the only packages, or files, that may import a library.
var homes = map[string][]string{
	"github.com/valyala/fasthttp":         {"proxy/fasthttp.go"}, // it parses, and must not own what comes after
	"github.com/prometheus/client_golang": {"metrics"},
	"github.com/prometheus/client_model":  {"health/engines"},
	"github.com/prometheus/common":        {"health/engines"},
	"github.com/spf13/cobra":              {"cli"},
	"charm.land/bubbletea":                {"top"},
	"github.com/goccy/go-yaml":            {"config", "discovery/kube"},
	"github.com/redis/rueidis":            {"session/store"},
	"github.com/miekg/dns":                {"discovery/dns", "discovery/dns/dnstest"},
	"github.com/coder/websocket":          {"sim"}, // tether looks at no frames
	"go.uber.org/zap":                     {"app", "proxy", "accesslog"},
}

// source is a Go file of this module, of e2e/clients or of e2e/browser, other than a test.
type source struct {
	pkg, path string
	file      *ast.File
}

// sources parses the files itself: the result of a test that runs the go tool would be cached and miss changes.
func sources(t *testing.T) (all []source) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || isModule(path) && path != "e2e/clients" && path != "e2e/browser"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		if strings.HasSuffix(path, "_test.go") && !strings.HasPrefix(dir, "e2e") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{pkg: dir, path: path, file: f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// isModule reports whether a folder is a module of its own.
func isModule(dir string) bool {
	return exists(filepath.Join(dir, "go.mod"))
}

func imports(f *ast.File) (paths []string) {
	for _, i := range f.Imports {
		paths = append(paths, strings.Trim(i.Path.Value, `"`))
	}
	return paths
}

// Imports point down only.
func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		l, known := layers[s.pkg]
		if !known {
			t.Errorf("%s: the layout has no place for package %s", s.path, s.pkg)
		}
		for _, path := range imports(s.file) {
			own, is := strings.CutPrefix(path, module+"/")
			if is && !slices.Contains(l.imports, own) {
				t.Errorf("%s imports %s: %s", s.path, own, l.why)
			}
			for library, allowed := range homes {
				if strings.HasPrefix(path, library) && !slices.Contains(allowed, s.pkg) && !slices.Contains(allowed, filepath.ToSlash(s.path)) {
					t.Errorf("%s imports %s, which is for %v", s.path, library, allowed)
				}
			}
		}
	}
}

// Every package has one package comment.
func TestPackageComments(t *testing.T) {
	said := map[string]int{}
	for _, s := range sources(t) {
		said[s.pkg] += 0
		if s.file.Doc != nil {
			said[s.pkg]++
		}
	}
	for pkg, n := range said {
		if n != 1 {
			t.Errorf("package %s has %d package comments, want 1", pkg, n)
		}
	}
}

// Every file with functions has a test file of its name, or a sentence of the package comment says where the file is tested. The sentence
// has the word "tested", and names the file or says "All other files". The test files that it names exist.
func TestFilesHaveTests(t *testing.T) {
	where := map[string][]string{} // by package: the sentences that say where files are tested
	for _, s := range sources(t) {
		for sentence := range strings.SplitSeq(strings.Join(strings.Fields(s.file.Doc.Text()), " ")+" ", ". ") {
			if regexp.MustCompile(`\btested\b`).MatchString(sentence) {
				where[s.pkg] = append(where[s.pkg], sentence+" ")
			}
		}
	}
	for pkg, sentences := range where {
		for _, name := range regexp.MustCompile(`[\w/]+_test\.go`).FindAllString(strings.Join(sentences, " "), -1) {
			if !exists(filepath.Join(pkg, name)) && !exists(name) {
				t.Errorf("the comment of package %s names %s, which does not exist", pkg, name)
			}
		}
	}
	for _, s := range sources(t) {
		stem := regexp.MustCompile(`(_linux|_darwin|_other)?\.go$`).ReplaceAllString(s.path, "")
		name := regexp.MustCompile(`\b` + filepath.Base(stem) + `(_\w+)?\.go\b|^All other files `)
		if hasFunctions(s.file) && !strings.HasSuffix(s.path, "_test.go") && !exists(stem+"_test.go") && !exists(stem+"_linux_test.go") &&
			!slices.ContainsFunc(where[s.pkg], name.MatchString) {
			t.Errorf("%s has no test file of its name, and no sentence of the package comment says where it is tested", s.path)
		}
	}
}

func hasFunctions(f *ast.File) bool {
	return slices.ContainsFunc(f.Decls, func(d ast.Decl) bool { _, is := d.(*ast.FuncDecl); return is })
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Every goroutine runs a named function, which the table in docs/ARCHITECTURE.md lists with its owner and its end.
func TestGoroutinesAreListed(t *testing.T) {
	table := architecture(t)
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			statement, is := n.(*ast.GoStmt)
			if !is || strings.HasPrefix(s.pkg, "e2e") {
				return true
			}
			name := calledName(statement.Call.Fun)
			if name == "" {
				t.Errorf("%s starts a goroutine without a name", s.path)
			} else if name = s.file.Name.Name + "." + name; !strings.Contains(table, "`"+name+"`") {
				t.Errorf("%s starts %s, which is missing in the goroutine table of docs/ARCHITECTURE.md", s.path, name)
			}
			return true
		})
	}
}

func calledName(f ast.Expr) string {
	switch f := f.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// docs/ARCHITECTURE.md lists every package, and every library with its reason.
func TestArchitectureIsWhole(t *testing.T) {
	text := architecture(t)
	for pkg := range layers {
		if pkg != "." && !strings.Contains(text, "`"+pkg+"/`") {
			t.Errorf("docs/ARCHITECTURE.md has no line for package %s", pkg)
		}
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		fields := strings.Fields(line)
		if len(fields) != 2 || !strings.HasPrefix(line, "\t") { // other lines are indirect requirements, or none
			continue
		}
		if name := strings.TrimPrefix(fields[0], "github.com/"); !strings.Contains(text, name) {
			t.Errorf("docs/ARCHITECTURE.md gives no reason for %s", name)
		}
	}
}

// The tree is within the limits of tools/shape, which is in a module of its own.
func TestShape(t *testing.T) {
	cmd := exec.Command("go", "run", "-trimpath", "./shape", "..")
	cmd.Dir, cmd.Env = "tools", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Scripts use no TETHER_ variable that tether does not know: it would warn at each start.
func TestVariablesOfScripts(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".sh" && d.Name() != "Makefile" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, name := range regexp.MustCompile(`TETHER_\w+`).FindAllString(string(text), -1) {
			_, problems := config.Load(config.Source{Environ: []string{name + "=x"}})
			if strings.Contains(problems.Error(), "unknown variable") {
				t.Errorf("%s: %v", path, problems)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func architecture(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
