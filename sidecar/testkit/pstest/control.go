package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"cloud.google.com/go/pubsub/v2"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// REST for clients' admin calls, and the API of the tests.
//
//	PUT, GET, DELETE /v1/projects/P/topics/T, …/subscriptions/S   as Google documents them
//	POST   /testkit/publish   {topic, messages: [{data: base64, attributes, orderingKey}]} → {ids}
//	POST   /testkit/fill      {topic, events, keys}, of the fake
//	GET    /testkit/messages  → [{id, deliveries, acks, deadlines: [seconds of each modack], …}]
//	POST   /testkit/fault     {method, code, message, times, reason}; DELETE clears all
//	POST   /testkit/cut       ends every open stream
type control struct {
	pstest     *pstest.Server
	fake       *fake
	faults     *faults
	connection *grpc.ClientConn
	client     *pubsub.Client
	publishers sync.Map
}

func (c *control) routes() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("/v1/", c.rest)
	routes.HandleFunc("POST /testkit/publish", c.publish)
	routes.HandleFunc("POST /testkit/fill", c.fill)
	routes.HandleFunc("GET /testkit/messages", c.messages)
	routes.HandleFunc("POST /testkit/fault", c.fault)
	routes.HandleFunc("DELETE /testkit/fault", func(http.ResponseWriter, *http.Request) { c.faults.clear() })
	routes.HandleFunc("POST /testkit/cut", func(http.ResponseWriter, *http.Request) { c.faults.cutStreams() })
	return routes
}

// One admin call, given to the gRPC server behind.
func (c *control) rest(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/v1/")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, status.Error(codes.InvalidArgument, err.Error()))
		return
	}
	isTopic := strings.Contains(name, "/topics/")
	method := map[string]string{"GET": "Get", "PUT": "Create", "DELETE": "Delete"}[r.Method]
	if isTopic {
		method += "Topic"
	} else {
		method += "Subscription"
	}
	if err := c.faults.of("/"+method, nil); err != nil {
		refuse(w, err)
		return
	}
	answer, err := c.admin(r.Context(), method, name, body)
	if err != nil {
		refuse(w, err)
		return
	}
	text, err := protojson.Marshal(answer)
	check(err)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

func (c *control) admin(ctx context.Context, method, name string, body []byte) (proto.Message, error) {
	topics, subscriptions := pb.NewPublisherClient(c.connection), pb.NewSubscriberClient(c.connection)
	switch method {
	case "GetTopic":
		return topics.GetTopic(ctx, &pb.GetTopicRequest{Topic: name})
	case "CreateTopic":
		return topics.CreateTopic(ctx, &pb.Topic{Name: name})
	case "DeleteTopic":
		return topics.DeleteTopic(ctx, &pb.DeleteTopicRequest{Topic: name})
	case "GetSubscription":
		return subscriptions.GetSubscription(ctx, &pb.GetSubscriptionRequest{Subscription: name})
	case "CreateSubscription":
		wanted := &pb.Subscription{}
		if err := protojson.Unmarshal(body, wanted); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		wanted.Name = name
		return subscriptions.CreateSubscription(ctx, wanted)
	case "DeleteSubscription":
		return subscriptions.DeleteSubscription(ctx, &pb.DeleteSubscriptionRequest{Subscription: name})
	}
	return &emptypb.Empty{}, status.Error(codes.Unimplemented, method)
}

// The status of HTTP that Google's API gives each code (google/rpc/code.proto).
var statuses = map[codes.Code]int{
	codes.InvalidArgument: 400, codes.FailedPrecondition: 400, codes.Unauthenticated: 401,
	codes.PermissionDenied: 403, codes.NotFound: 404, codes.AlreadyExists: 409, codes.ResourceExhausted: 429,
	codes.Unimplemented: 501, codes.Unavailable: 503, codes.DeadlineExceeded: 504,
}

func refuse(w http.ResponseWriter, err error) {
	said := status.Convert(err)
	number, known := statuses[said.Code()]
	if !known {
		number = 500
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(number)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"code": number, "message": said.Message(), "status": codeName(said.Code()),
	}})
}

func codeName(code codes.Code) string {
	var name strings.Builder
	for at, letter := range code.String() {
		if at > 0 && letter >= 'A' && letter <= 'Z' {
			name.WriteByte('_')
		}
		name.WriteRune(letter)
	}
	return strings.ToUpper(name.String())
}

// Publishes by Google's Go client, each key in the order of the messages.
func (c *control) publish(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Topic    string
		Messages []struct {
			Data        []byte
			Attributes  map[string]string
			OrderingKey string
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	made, _ := c.publishers.LoadOrStore(wanted.Topic, sync.OnceValue(func() *pubsub.Publisher {
		publisher := c.client.Publisher(wanted.Topic)
		publisher.EnableMessageOrdering = true
		return publisher
	}))
	publisher := made.(func() *pubsub.Publisher)()
	results := make([]*pubsub.PublishResult, 0, len(wanted.Messages))
	for _, message := range wanted.Messages {
		results = append(results, publisher.Publish(r.Context(), &pubsub.Message{
			Data: message.Data, Attributes: message.Attributes, OrderingKey: message.OrderingKey,
		}))
	}
	publisher.Flush()
	ids := make([]string, 0, len(results))
	for _, result := range results {
		id, err := result.Get(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		ids = append(ids, id)
	}
	answer(w, map[string]any{"ids": ids})
}

// Puts events of 1 KiB into a topic without a client, for measurements.
func (c *control) fill(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Topic        string
		Events, Keys int
	}
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil || c.fake == nil || wanted.Keys < 1 {
		http.Error(w, "needed: the fake, and {topic, events, keys}", http.StatusBadRequest)
		return
	}
	start := `{"order":4711,"note":"`
	body := []byte(start + strings.Repeat("x", 1024-len(start)-2) + `"}`)
	request := &pb.PublishRequest{Topic: wanted.Topic}
	for number := range wanted.Events {
		request.Messages = append(request.Messages, &pb.PubsubMessage{
			Data: body,
			Attributes: map[string]string{
				"content-type": "application/json", "ce-specversion": "1.0", "ce-id": fmt.Sprint(number),
				"ce-source": "/bench/producers", "ce-type": "org.example.bench", "ce-time": "2026-01-31T12:00:00Z",
			},
			OrderingKey: fmt.Sprintf("key-%d", number%wanted.Keys),
		})
	}
	if _, err := c.fake.Publish(r.Context(), request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer(w, map[string]any{})
}

// What became of a message.
type told struct {
	ID          string            `json:"id"`
	Topic       string            `json:"topic"`
	Data        []byte            `json:"data"`
	Attributes  map[string]string `json:"attributes"`
	OrderingKey string            `json:"ordering_key"`
	Deliveries  int               `json:"deliveries"`
	Acks        int               `json:"acks"`
	Deadlines   []int32           `json:"deadlines"`
}

func (c *control) messages(w http.ResponseWriter, r *http.Request) {
	topic := r.URL.Query().Get("topic")
	all := []told{}
	if c.fake != nil {
		all = c.fake.told(topic)
	} else {
		for _, message := range c.pstest.Messages() {
			if topic != "" && message.Topic != topic {
				continue
			}
			one := told{
				ID: message.ID, Topic: message.Topic, Data: message.Data, Attributes: message.Attributes,
				OrderingKey: message.OrderingKey, Deliveries: message.Deliveries, Acks: message.Acks,
				Deadlines: []int32{},
			}
			for _, modack := range message.Modacks {
				one.Deadlines = append(one.Deadlines, modack.AckDeadline)
			}
			all = append(all, one)
		}
	}
	answer(w, all)
}

func (c *control) fault(w http.ResponseWriter, r *http.Request) {
	var wanted fault
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.faults.add(&wanted)
	fmt.Fprintln(w, "{}")
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	check(json.NewEncoder(w).Encode(value))
}
