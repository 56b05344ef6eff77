package image

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// instruction is an instruction of a Dockerfile.
type instruction struct{ name, text string }

// stages returns the instructions of a Dockerfile, by stage.
func stages(t testing.TB, path string) (all [][]instruction) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := strings.ReplaceAll(string(text), "\\\n", " ")
	for line := range strings.Lines(whole) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		if name == "FROM" {
			all = append(all, nil)
		}
		if len(all) > 0 {
			last := &all[len(all)-1]
			*last = append(*last, instruction{name, strings.TrimSpace(rest)})
		}
	}
	return all
}

// texts returns the texts of the instructions of a stage with this name.
func texts(stage []instruction, name string) (found []string) {
	for _, i := range stage {
		if i.name == name {
			found = append(found, i.text)
		}
	}
	return found
}

// settings are the instructions of the Dockerfile about how the image runs.
type settings struct {
	base               string // the image of the stage that builds
	user               string
	env, expose        []string
	entrypoint, cmd    []string
	health             []string
	copied, assembling string
}

// readSettings reads the Dockerfile. It fails the test unless the image is exactly the assembled folder.
func readSettings(t testing.TB) (s settings) {
	t.Helper()
	all := stages(t, "../../Dockerfile")
	if len(all) != 2 {
		t.Fatalf("%d stages, want two: one that builds, and the image", len(all))
	}
	build, image := all[0], all[1]
	one := func(stage []instruction, name string) string {
		t.Helper()
		found := texts(stage, name)
		if len(found) != 1 {
			t.Fatalf("%d instructions %s in a stage, want one: %q", len(found), name, found)
		}
		return found[0]
	}
	list := func(text string) (words []string) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), &words); err != nil {
			t.Fatalf("%s is not a list of words: only a shell could run it, and the image has none", text)
		}
		return words
	}
	if from := one(image, "FROM"); from != "scratch" {
		t.Errorf("the image is made from %s", from)
	}
	for _, i := range image {
		if i.name == "RUN" || i.name == "ADD" || i.name == "WORKDIR" || i.name == "VOLUME" {
			t.Errorf("%s %s changes the image: it must be the assembled folder", i.name, i.text)
		}
	}
	from := strings.Fields(one(build, "FROM"))
	s.base = from[slices.IndexFunc(from, func(w string) bool { return !strings.HasPrefix(w, "--") })]
	runs := texts(build, "RUN")
	s.assembling = runs[len(runs)-1]
	s.copied = one(image, "COPY")
	s.user = one(image, "USER")
	s.env = texts(image, "ENV")
	s.expose = strings.Fields(one(image, "EXPOSE"))
	s.entrypoint, s.cmd = list(one(image, "ENTRYPOINT")), list(one(image, "CMD"))
	_, health, _ := strings.Cut(one(image, "HEALTHCHECK"), "CMD ")
	s.health = list(health)
	return s
}

// The Dockerfile copies the whole folder that make image-root assembles to the root.
func TestDockerfile(t *testing.T) {
	s := readSettings(t)
	if !strings.Contains(s.assembling, "make image-root ") || s.copied != "--from=build /src/bin/image/ /" {
		t.Errorf("%s, then COPY %s", s.assembling, s.copied)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(makefile), "\nIMAGE_ROOT = bin/image\n") {
		t.Error("make image-root assembles another folder")
	}
	if uid, gid, _ := strings.Cut(s.user, ":"); uid != gid || uid == "0" || strings.Trim(uid, "0123456789") != "" {
		t.Errorf("USER %s: want numbers, because the image has no names, and not root", s.user)
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(s.base, "golang:"), "-")
	if !strings.Contains(string(mod), "\ngo "+version) {
		t.Errorf("the image is built with %s, not with the version of go.mod", s.base)
	}
}
