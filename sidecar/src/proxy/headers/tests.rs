use super::*;

#[test]
fn cookies_come_in_one_line() {
    for (lines, one) in [(&["a=1", "b=2; c", "\"d\""][..], "a=1; b=2; c; \"d\""), (&["a=1"], "a=1")] {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_static(line));
        }
        join_cookies(&mut headers);
        let cookies: Vec<_> = headers.get_all(COOKIE).iter().collect();
        assert_eq!(cookies, [one]);
    }
    let mut none = HeaderMap::new();
    join_cookies(&mut none);
    assert!(none.is_empty());
}

fn map<const N: usize>(headers: [(&'static str, &'static str); N]) -> HeaderMap {
    let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    headers.into_iter().map(header).collect()
}

#[test]
fn what_is_of_the_hop_goes_and_what_connection_names_with_it() {
    let mut headers = map([
        ("connection", "close, X-Secret , traceparent-like"),
        ("connection", "other"),
        ("x-secret", "1"),
        ("other", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic x"),
        ("te", "gzip"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("traceparent", "00-1"),
        ("trailer", "x-sum"),
    ]);
    strip(&mut headers);
    assert_eq!(headers, map([("traceparent", "00-1"), ("trailer", "x-sum")]));
}

#[test]
fn trailers_are_still_asked_for_and_what_frames_the_message_cannot_be_named_away() {
    let mut headers = map([
        ("connection", "te, host, content-length"),
        ("te", "trailers"),
        ("host", "x"),
        ("content-length", "3"),
    ]);
    strip(&mut headers);
    assert_eq!(headers, map([("te", "trailers"), ("host", "x"), ("content-length", "3")]));
}

fn host(uri: &str, hosts: &[&'static str]) -> Result<(String, HeaderMap), Ambiguous> {
    let mut headers = HeaderMap::new();
    for host in hosts {
        headers.append(HOST, HeaderValue::from_static(host));
    }
    let mut uri = uri.parse().unwrap();
    check_host(Version::HTTP_11, &headers)?;
    settle_host(&mut uri, &mut headers).map(|()| (uri.to_string(), headers))
}

#[test]
fn there_is_one_host_and_the_targets_own_goes_before() {
    assert_eq!(host("/a?b", &["x:80"]).unwrap(), ("/a?b".into(), map([("host", "x:80")])));
    assert_eq!(host("http://y/a?b", &["x"]).unwrap(), ("/a?b".into(), map([("host", "y")])));
    assert_eq!(host("/", &[]), Err(Ambiguous::NoHost));
    assert_eq!(host("/", &["x", "x"]), Err(Ambiguous::Hosts));
    for bad in ["x, y", "a@x", "x/y", "x y"] {
        assert_eq!(host("/", &[bad]), Err(Ambiguous::BadHost), "{bad}");
    }
}

fn by(address: &str, tls: bool) -> WhoAsks {
    WhoAsks::of(Remote { address: Some(address.parse().unwrap()), tls, uid: None })
}

#[test]
fn the_function_is_told_whether_the_client_spoke_tls() {
    let telling = Telling { x_forwarded: true, forwarded: true, trusts: false };
    let mut headers = map([("host", "x"), ("x-forwarded-proto", "http")]);
    by("192.0.2.7:1", true).tell(telling, &mut headers);
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["forwarded"], "for=192.0.2.7;host=\"x\";proto=https");
}

#[test]
fn a_clients_word_on_who_it_is_counts_only_where_it_is_vouched_for() {
    let asks = by("192.0.2.7:1", false);
    let sent = || map([("host", "x"), ("x-forwarded-for", "10.0.0.1"), ("x-real-ip", "10.0.0.1")]);
    let nothing = Telling { x_forwarded: false, forwarded: false, trusts: false };
    let mut headers = sent();
    asks.tell(nothing, &mut headers);
    assert_eq!(headers, map([("host", "x")]));
    let mut headers = sent();
    asks.tell(Telling { x_forwarded: true, forwarded: true, trusts: true }, &mut headers);
    let all: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
    assert_eq!(all, ["10.0.0.1", "192.0.2.7"]);
    assert_eq!(headers["forwarded"], "for=192.0.2.7;host=\"x\";proto=http");
    assert_eq!(headers["x-forwarded-host"], "x");
}

#[test]
fn whatever_says_who_asked_is_taken_out_also_with_underscores() {
    let mut headers = map([
        ("host", "x"),
        ("x-forwarded-user", "root"),
        ("x-forwarded", "for=10.0.0.1"),
        ("x_forwarded_for", "10.0.0.1"),
        ("x-ssl-client-cert", "c"),
        ("client_cert", "c"),
        ("x-request-id", "1"),
        ("content-type", "a/b"),
    ]);
    by("192.0.2.7:1", false)
        .tell(Telling { x_forwarded: false, forwarded: false, trusts: false }, &mut headers);
    assert_eq!(headers, map([("host", "x"), ("x-request-id", "1"), ("content-type", "a/b")]));
}

#[test]
fn trailers_bring_nothing_that_should_have_come_before_the_body() {
    let mut trailers = map([
        ("grpc-status", "0"),
        ("content-length", "5"),
        ("set-cookie", "a=b"),
        ("x-forwarded-for", "10.0.0.1"),
        ("transfer-encoding", "chunked"),
    ]);
    strip_trailers(&mut trailers);
    assert_eq!(trailers, map([("grpc-status", "0")]));
}

#[test]
fn an_answer_says_once_how_long_it_is() {
    let both = || map([("content-length", "3"), ("transfer-encoding", "chunked")]);
    let mut headers = both();
    settle_length(StatusCode::OK, &mut headers);
    assert_eq!(headers, map([("transfer-encoding", "chunked")]));
    for (status, left) in [(StatusCode::NO_CONTENT, 0), (StatusCode::NOT_MODIFIED, 1), (StatusCode::OK, 1)] {
        let mut headers = map([("content-length", "3")]);
        settle_length(status, &mut headers);
        assert_eq!(headers.len(), left, "{status}");
    }
}

#[test]
fn an_ipv6_address_is_quoted_in_forwarded_and_bare_elsewhere() {
    let asks = by("[2001:db8::1]:1", false);
    assert_eq!((asks.node.as_str(), asks.address.to_str().unwrap()), ("\"[2001:db8::1]\"", "2001:db8::1"));
}
