package openapi

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// Service is a deployable of services.yaml.
type Service struct {
	Name string
	Port int // of its HTTP listener, counted from a base of 8000
	// Scopes are what the gateway grants to its service key.
	Scopes []string
}

// Services are all deployables, the gateway too, in the order of services.yaml: that of a customer's journey.
func Services() []Service {
	data, err := FS.ReadFile("services.yaml")
	if err != nil {
		panic("openapi: " + err.Error()) // the file is embedded at build time
	}
	list, err := readServices(data)
	if err != nil {
		panic("openapi: services.yaml: " + err.Error())
	}
	return list
}

func readServices(data []byte) ([]Service, error) {
	var file struct {
		Services yaml.Node `yaml:"services"` // their order is kept
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	var out []Service
	ports := map[int]string{}
	for i := 0; i+1 < len(file.Services.Content); i += 2 {
		s := Service{Name: file.Services.Content[i].Value}
		if err := file.Services.Content[i+1].Decode(&s); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		if twin := ports[s.Port]; twin != "" || s.Port == 0 {
			return nil, fmt.Errorf("%s needs a port that no other service has", s.Name)
		}
		ports[s.Port] = s.Name
		out = append(out, s)
	}
	return out, nil
}

// Names are those of services.
func Names(services []Service) []string {
	out := make([]string, len(services))
	for i, s := range services {
		out[i] = s.Name
	}
	return out
}
