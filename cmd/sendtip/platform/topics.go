package platform

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/IBM/sarama"
	"gopkg.in/yaml.v3"

	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/openapi"
)

// Topic is one line of openapi/topics.yaml.
type Topic struct {
	Name           string `yaml:"name"`
	Partitions     int32  `yaml:"partitions"`
	RetentionHours int    `yaml:"retention_hours"`
}

// Topics reads the declared topics.
func Topics() ([]Topic, error) {
	b, err := openapi.FS.ReadFile("topics.yaml")
	if err != nil {
		return nil, err
	}
	var file struct {
		Topics []Topic `yaml:"topics"`
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		return nil, fmt.Errorf("read topics.yaml: %w", err)
	}
	return file.Topics, nil
}

// ApplyTopics creates the declared topics that a broker lacks, and returns their names. It never removes or shrinks one.
func ApplyTopics(tool event.Broker, replication int16) ([]string, error) {
	admin, err := sarama.NewClusterAdmin(tool.Addresses, tool.Config())
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka: %w", err)
	}
	defer func() { _ = admin.Close() }()
	topics, err := Topics()
	if err != nil {
		return nil, err
	}
	var made []string
	for _, t := range topics {
		retention := strconv.Itoa(t.RetentionHours * 3600 * 1000)
		err := admin.CreateTopic(t.Name, &sarama.TopicDetail{NumPartitions: t.Partitions, ReplicationFactor: replication,
			ConfigEntries: map[string]*string{"retention.ms": &retention}}, false)
		switch {
		case errors.Is(err, sarama.ErrTopicAlreadyExists):
		case err != nil:
			return made, fmt.Errorf("create topic %s: %w", t.Name, err)
		default:
			made = append(made, t.Name)
		}
	}
	return made, nil
}
