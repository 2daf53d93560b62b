//! One history in three other checkers' forms.

use longhaul_analysis::checkers::{to_elle_edn, to_knossos_edn, to_porcupine};
use longhaul_experiment::Operation;

use crate::histories::{History, KEY, history};

/// Client 1 writes while client 2 reads, swaps, and loses track of a write; client 3 fails, and
/// reads what nobody wrote.
fn example() -> History {
    let open = history().writing("b");
    history()
        .write(1, "a", 0..20)
        .read(2, None, 10..12)
        .swap(2, (Some("a"), "c"), true, 30..40)
        .swap(2, (Some("a"), "d"), false, 50..60)
        .unknown(2, open.clone(), 70..80)
        .read(2, Some("c"), 90..95)
        .failed(3, open, 91..92)
        .read(3, Some("x"), 96..97)
}

#[test]
fn knossos_gets_one_map_per_event_and_a_process_ends_with_an_unknown_outcome() {
    assert_eq!(
        to_knossos_edn(&example().records),
        r#"{:process 0, :type :invoke, :f :write, :value "c1.0", :time 0, :index 0}
{:process 1, :type :invoke, :f :read, :value nil, :time 10000000, :index 1}
{:process 1, :type :ok, :f :read, :value nil, :time 12000000, :index 2}
{:process 0, :type :ok, :f :write, :value "c1.0", :time 20000000, :index 3}
{:process 1, :type :invoke, :f :cas, :value ["c1.0" "c2.1"], :time 30000000, :index 4}
{:process 1, :type :ok, :f :cas, :value ["c1.0" "c2.1"], :time 40000000, :index 5}
{:process 1, :type :invoke, :f :cas, :value ["c1.0" "c2.2"], :time 50000000, :index 6}
{:process 1, :type :fail, :f :cas, :value ["c1.0" "c2.2"], :time 60000000, :index 7}
{:process 1, :type :invoke, :f :write, :value "c2.3", :time 70000000, :index 8}
{:process 1, :type :info, :f :write, :value "c2.3", :time 80000000, :index 9}
{:process 2, :type :invoke, :f :read, :value nil, :time 90000000, :index 10}
{:process 3, :type :invoke, :f :write, :value "c2.3", :time 91000000, :index 11}
{:process 3, :type :fail, :f :write, :value "c2.3", :time 92000000, :index 12}
{:process 2, :type :ok, :f :read, :value "c2.1", :time 95000000, :index 13}
{:process 3, :type :invoke, :f :read, :value nil, :time 96000000, :index 14}
{:process 3, :type :ok, :f :read, :value "unwritten-1", :time 97000000, :index 15}
"#
    );
}

#[test]
fn knossos_gets_keys_with_the_values_when_there_are_several() {
    let history = history()
        .add(1, 5, 5, 0..10)
        .on(8)
        .take(1, 2, (false, 0), 20..30);
    assert_eq!(
        to_knossos_edn(&history.records),
        "{:process 0, :type :invoke, :f :add, :value [7 [5 nil]], :time 0, :index 0}\n\
         {:process 0, :type :ok, :f :add, :value [7 [5 5]], :time 10000000, :index 1}\n\
         {:process 0, :type :invoke, :f :take, :value [8 [2 nil]], :time 20000000, :index 2}\n\
         {:process 0, :type :fail, :f :take, :value [8 [2 0]], :time 30000000, :index 3}\n"
    );
}

#[test]
fn a_client_that_pipelines_is_several_processes() {
    // The third is sent when the first has ended, and takes its process; the fourth is sent at
    // the instant at which the third ends, and so is concurrent with it.
    let pipelined = history()
        .write(1, "a", 0..10)
        .write(1, "b", 5..40)
        .write(1, "c", 20..30)
        .write(1, "d", 30..50);
    let text = to_knossos_edn(&pipelined.records);
    let invoked: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(":invoke"))
        .map(|line| &line[..11])
        .collect();
    assert_eq!(
        invoked,
        ["{:process 0", "{:process 1", "{:process 0", "{:process 2"]
    );
}

#[test]
fn elle_gets_transactions_of_one_operation_without_keys_that_count() {
    let history = history()
        .write(1, "a", 0..10)
        .read(2, Some("a"), 20..30)
        .swap(1, (Some("a"), "b"), true, 40..50)
        .swap(1, (Some("a"), "c"), false, 60..70)
        .on(8)
        .add(1, 5, 5, 80..90)
        .read(2, None, 80..90);
    assert_eq!(
        to_elle_edn(&history.records),
        r#"{:index 0, :time 0, :type :invoke, :process 0, :f :txn, :value [[:w 7 "c1.0"]]}
{:index 1, :time 10000000, :type :ok, :process 0, :f :txn, :value [[:w 7 "c1.0"]]}
{:index 2, :time 20000000, :type :invoke, :process 1, :f :txn, :value [[:r 7 nil]]}
{:index 3, :time 30000000, :type :ok, :process 1, :f :txn, :value [[:r 7 "c1.0"]]}
{:index 4, :time 40000000, :type :invoke, :process 0, :f :txn, :value [[:r 7 nil] [:w 7 "c1.1"]]}
{:index 5, :time 50000000, :type :ok, :process 0, :f :txn, :value [[:r 7 "c1.0"] [:w 7 "c1.1"]]}
{:index 6, :time 60000000, :type :invoke, :process 0, :f :txn, :value [[:r 7 nil] [:w 7 "c1.2"]]}
{:index 7, :time 70000000, :type :fail, :process 0, :f :txn, :value [[:r 7 nil] [:w 7 "c1.2"]]}
"#
    );
}

#[test]
fn porcupine_gets_calls_and_returns_and_unknown_outcomes_return_last() {
    let mut example = example();
    example = example
        .add(4, 5, 5, 100..110)
        .take(4, 2, (true, 3), 120..130)
        .pending(5, Operation::Read { key: KEY }, 10);
    let text = to_porcupine(&example.records);
    assert_eq!(
        text,
        r#"{"kind":"call","client":0,"id":0,"time":0,"key":7,"input":{"op":"write","value":"c1.0"}}
{"kind":"call","client":1,"id":1,"time":10000000,"key":7,"input":{"op":"read"}}
{"kind":"return","client":1,"id":1,"time":12000000,"key":7,"output":{"value":null}}
{"kind":"return","client":0,"id":0,"time":20000000,"key":7,"output":{}}
{"kind":"call","client":1,"id":2,"time":30000000,"key":7,"input":{"op":"compare-and-set","expected":"c1.0","value":"c2.1"}}
{"kind":"return","client":1,"id":2,"time":40000000,"key":7,"output":{"swapped":true}}
{"kind":"call","client":1,"id":3,"time":50000000,"key":7,"input":{"op":"compare-and-set","expected":"c1.0","value":"c2.2"}}
{"kind":"return","client":1,"id":3,"time":60000000,"key":7,"output":{"swapped":false}}
{"kind":"call","client":1,"id":4,"time":70000000,"key":7,"input":{"op":"write","value":"c2.3"}}
{"kind":"call","client":3,"id":5,"time":90000000,"key":7,"input":{"op":"read"}}
{"kind":"return","client":3,"id":5,"time":95000000,"key":7,"output":{"value":"c2.1"}}
{"kind":"call","client":4,"id":6,"time":96000000,"key":7,"input":{"op":"read"}}
{"kind":"return","client":4,"id":6,"time":97000000,"key":7,"output":{"value":"unwritten-1"}}
{"kind":"call","client":5,"id":7,"time":100000000,"key":7,"input":{"op":"add","amount":5}}
{"kind":"return","client":5,"id":7,"time":110000000,"key":7,"output":{"total":5}}
{"kind":"call","client":5,"id":8,"time":120000000,"key":7,"input":{"op":"take-if-enough","amount":2}}
{"kind":"return","client":5,"id":8,"time":130000000,"key":7,"output":{"taken":true,"left":3}}
{"kind":"return","client":1,"id":4,"time":130000000,"key":7,"output":{"unknown":true}}
"#
    );
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("a line is JSON");
    }
}

#[test]
fn what_was_never_sent_is_in_no_export() {
    let mut history = history().write(1, "a", 0..10);
    history.records[0].sent_at = None;
    for export in [to_knossos_edn, to_elle_edn, to_porcupine] {
        assert_eq!(export(&history.records), "");
    }
}
