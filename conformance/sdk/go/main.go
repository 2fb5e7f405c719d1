// The SDK for Go: writes the events that it is told to, and tells what it reads. One JSON object a line, in and out; what
// each may be stands in conformance/sdk/README.md.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	protobuf "github.com/cloudevents/sdk-go/binding/format/protobuf/v2"
	kafka "github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"
)

type value struct{ Kind, Value string }

type described struct {
	ID, Source, Type string
	Subject, Time    string
	DataContentType  string
	DataSchema       string
	Extensions       map[string]value
	Data             *[]byte `json:"data_base64"`
}

type pair struct {
	Name  string
	Value *[]byte
}

type asked struct {
	Do, To, Mode string
	Event        described
	Events       []described
	Headers      []pair
	Key, Value   *[]byte
}

type told struct {
	Attributes map[string]string `json:"attributes"`
	Data       *[]byte           `json:"data_base64"`
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func extension(v value) any {
	switch v.Kind {
	case "flag":
		return v.Value == "true"
	case "count":
		number, err := strconv.ParseInt(v.Value, 10, 32)
		check(err)
		return int32(number)
	case "bytes":
		data, err := base64.StdEncoding.DecodeString(v.Value)
		check(err)
		return data
	case "uri":
		return types.ParseURI(v.Value)
	case "uriref":
		return types.ParseURIRef(v.Value)
	case "time":
		at, err := types.ParseTime(v.Value)
		check(err)
		return types.Timestamp{Time: at}
	default:
		return v.Value
	}
}

func made(d described) event.Event {
	e := cloudevents.NewEvent()
	e.SetID(d.ID)
	e.SetSource(d.Source)
	e.SetType(d.Type)
	if d.Subject != "" {
		e.SetSubject(d.Subject)
	}
	if d.DataSchema != "" {
		e.SetDataSchema(d.DataSchema)
	}
	if d.Time != "" {
		at, err := time.Parse(time.RFC3339Nano, d.Time)
		check(err)
		e.SetTime(at)
	}
	for name, v := range d.Extensions {
		e.SetExtension(name, extension(v))
	}
	if d.Data != nil {
		if d.DataContentType == "application/json" {
			check(e.SetData(d.DataContentType, json.RawMessage(*d.Data)))
		} else {
			check(e.SetData(d.DataContentType, *d.Data))
		}
	}
	check(e.Validate())
	return e
}

func seen(e event.Event) told {
	a := map[string]string{"specversion": e.SpecVersion(), "id": e.ID(), "source": e.Source(), "type": e.Type()}
	for name, text := range map[string]string{"subject": e.Subject(), "datacontenttype": e.DataContentType(), "dataschema": e.DataSchema()} {
		if text != "" {
			a[name] = text
		}
	}
	if !e.Time().IsZero() {
		a["time"] = e.Time().Format(time.RFC3339Nano)
	}
	for name, v := range e.Extensions() {
		text, err := types.Format(v)
		check(err)
		a[name] = text
	}
	var data *[]byte
	if e.DataEncoded != nil {
		data = &e.DataEncoded
	}
	return told{a, data}
}

// The mode as the SDK is told it: by the context.
func in(mode string) context.Context {
	ctx := context.Background()
	switch mode {
	case "structured":
		return binding.WithForceStructured(ctx)
	case "protobuf":
		return binding.UseFormatForEvent(binding.WithForceStructured(ctx), protobuf.Protobuf)
	default:
		return binding.WithForceBinary(ctx)
	}
}

func send(a asked) any {
	if a.Mode == "batch" {
		var events []event.Event
		for _, d := range a.Events {
			events = append(events, made(d))
		}
		request, err := cehttp.NewHTTPRequestFromEvents(context.Background(), a.To, events)
		check(err)
		answer, err := http.DefaultClient.Do(request)
		check(err)
		if answer.StatusCode >= 300 {
			panic(answer.Status)
		}
		return map[string]int{"status": answer.StatusCode}
	}
	client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(a.To))
	check(err)
	status := 0
	for _, d := range a.Events {
		var result *cehttp.Result
		answer := client.Send(in(a.Mode), made(d))
		if !cloudevents.ResultAs(answer, &result) {
			panic(answer)
		}
		status = result.StatusCode
		if status >= 300 {
			panic(answer)
		}
	}
	return map[string]int{"status": status}
}

func record(a asked) any {
	e := made(a.Event)
	message := sarama.ProducerMessage{}
	check(kafka.WriteProducerMessage(in(a.Mode), binding.ToMessage(&e), &message))
	headers := [][2]any{}
	for _, h := range message.Headers {
		headers = append(headers, [2]any{string(h.Key), h.Value})
	}
	bytesOf := func(from sarama.Encoder) *[]byte {
		if from == nil {
			return nil
		}
		data, err := from.Encode()
		check(err)
		return &data
	}
	return map[string]any{"headers": headers, "key": bytesOf(message.Key), "value": bytesOf(message.Value)}
}

func readHTTP(a asked) any {
	request := &http.Request{Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(*a.Value))}
	for _, h := range a.Headers {
		request.Header.Add(h.Name, string(*h.Value))
	}
	if cehttp.IsHTTPBatch(request.Header) {
		events, err := cehttp.NewEventsFromHTTPRequest(request)
		check(err)
		all := []told{}
		for _, e := range events {
			all = append(all, seen(e))
		}
		return map[string]any{"events": all}
	}
	e, err := cehttp.NewEventFromHTTPRequest(request)
	check(err)
	return map[string]any{"events": []told{seen(*e)}}
}

func readRecord(a asked) any {
	message := sarama.ConsumerMessage{}
	if a.Key != nil {
		message.Key = *a.Key
	}
	if a.Value != nil {
		message.Value = *a.Value
	}
	for _, h := range a.Headers {
		message.Headers = append(message.Headers, &sarama.RecordHeader{Key: []byte(h.Name), Value: *h.Value})
	}
	e, err := binding.ToEvent(context.Background(), kafka.NewMessageFromConsumerMessage(&message))
	check(err)
	return map[string]any{"events": []told{seen(*e)}}
}

func done(line []byte) (answer any) {
	defer func() {
		if problem := recover(); problem != nil {
			answer = map[string]string{"error": fmt.Sprint(problem)}
		}
	}()
	var a asked
	check(json.Unmarshal(line, &a))
	return map[string]func(asked) any{"send": send, "record": record, "read-http": readHTTP, "read-record": readRecord}[a.Do](a)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		check(out.Encode(done(lines.Bytes())))
	}
}
