// Renders a chart's templates as Helm does, with the template engine and the functions that Helm is
// made of, for tests on machines without Helm. The templates' root (Values, Release, Chart) and what
// is in the cluster (objects) come as JSON from the standard input; the text of each file goes as JSON
// to the standard output. It knows of Helm's own functions those that this chart uses.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

type object = map[string]interface{}

type request struct {
	Root    object   `json:"root"`
	Objects []object `json:"objects"`
}

func main() {
	rendered, err := render(os.Args[1])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(rendered)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render(folder string) (map[string]string, error) {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(folder, "templates", "*"))
	if err != nil {
		return nil, err
	}
	// Helm, too, takes what is missing as nothing, and removes how Go writes nothing.
	templates := template.New("chart").Option("missingkey=zero")
	templates.Funcs(functions(templates, asked.Objects))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if _, err = templates.New(filepath.Base(path)).Parse(string(text)); err != nil {
			return nil, err
		}
	}
	rendered := map[string]string{}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var text strings.Builder
		if err := templates.ExecuteTemplate(&text, name, asked.Root); err != nil {
			return nil, err
		}
		rendered[name] = strings.ReplaceAll(text.String(), "<no value>", "")
	}
	return rendered, nil
}

func functions(templates *template.Template, objects []object) template.FuncMap {
	known := sprig.TxtFuncMap()
	delete(known, "env")
	delete(known, "expandenv")
	known["include"] = func(name string, data interface{}) (string, error) {
		var text strings.Builder
		err := templates.ExecuteTemplate(&text, name, data)
		return text.String(), err
	}
	known["toYaml"] = func(value interface{}) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	known["lookup"] = func(version, kind, namespace, name string) object {
		for _, found := range objects {
			metadata := found["metadata"].(object)
			if found["apiVersion"] == version && found["kind"] == kind &&
				metadata["namespace"] == namespace && metadata["name"] == name {
				return found
			}
		}
		return object{}
	}
	return known
}
