//! Queues themselves: creation, attributes, lists, tags, purge, deletion.

use aws_sdk_sqs::types::QueueAttributeName as Name;

use super::Check;
use super::stand::{Failure, Outcome, Stand, ensure, pause, refused, same, sorted};

pub(super) const CHECKS: &[Check] = &[
    check!(
        creating_again_gives_the_same_url,
        "API_CreateQueue",
        "the same name and attributes: the queue that is there"
    ),
    check!(creating_with_other_attributes_is_refused, "API_CreateQueue", "QueueNameExists"),
    check!(bad_queue_names_are_refused, "API_CreateQueue", "letters, digits, - and _, at most 80"),
    check!(a_fifo_name_needs_the_attribute, "API_CreateQueue", "a name in .fifo and FifoQueue come together"),
    check!(tags_can_come_with_the_creation, "API_CreateQueue", "a new queue has them"),
    check!(a_url_is_found_by_name, "API_GetQueueUrl", "the URL that CreateQueue gave"),
    check!(a_missing_name_is_a_typed_exception, "API_GetQueueUrl", "QueueDoesNotExist"),
    check!(a_new_queue_has_the_defaults, "API_SetQueueAttributes", "30 s, 4 days, no delay, no wait, 1 MiB"),
    check!(
        the_arn_says_where_the_queue_is,
        "API_GetQueueAttributes",
        "arn:aws:sqs:REGION:ACCOUNT:NAME, account as in the URL"
    ),
    check!(timestamps_are_in_seconds, "API_GetQueueAttributes", "created and modified in epoch seconds"),
    check!(a_standard_queue_shows_no_fifo_attributes, "API_GetQueueAttributes", "they are absent"),
    check!(only_the_attributes_asked_for_come, "API_GetQueueAttributes", "those named, and no others"),
    check!(an_unknown_attribute_name_is_refused, "API_GetQueueAttributes", "InvalidAttributeName"),
    check!(set_attributes_are_shown, "API_SetQueueAttributes", "the new values, and the others as they were"),
    check!(attributes_out_of_range_are_refused, "API_SetQueueAttributes", "InvalidAttributeValue for each"),
    check!(queues_are_listed_by_prefix, "API_ListQueues", "those whose names begin so"),
    check!(lists_come_in_pages, "API_ListQueues", "MaxResults a page, NextToken until the last"),
    check!(tags_are_added_and_taken_off, "API_TagQueue", "a tag replaces its namesake; untagged keys go"),
    check!(a_purge_forgets_everything, "API_PurgeQueue", "visible and in flight"),
    check!(a_second_purge_within_a_minute_is_refused, "API_PurgeQueue", "PurgeQueueInProgress"),
    check!(
        a_bare_name_is_good_for_a_url,
        "API_GetQueueAttributes",
        "of a queue of the caller's own, as recorded at AWS; the page does not say"
    ),
    check!(a_deleted_queue_is_not_found, "API_DeleteQueue", "QueueDoesNotExist from every action"),
    check!(a_deleted_name_rests_a_minute, "API_CreateQueue", "QueueDeletedRecently"),
    check!(the_counts_follow_the_messages, "API_GetQueueAttributes", "visible, in flight and delayed"),
];

async fn creating_again_gives_the_same_url(stand: Stand) -> Outcome {
    let first = stand.queue("q", &[(Name::VisibilityTimeout, "45")]).await?;
    same("the URL", stand.queue("q", &[(Name::VisibilityTimeout, "45")]).await?, first)
}

async fn creating_with_other_attributes_is_refused(stand: Stand) -> Outcome {
    stand.queue("q", &[(Name::VisibilityTimeout, "45")]).await?;
    let again = stand.sqs.create_queue().queue_name(stand.name("q")).attributes(Name::VisibilityTimeout, "46");
    refused!(again, is_queue_name_exists);
    Ok(())
}

async fn bad_queue_names_are_refused(stand: Stand) -> Outcome {
    for name in [format!("{} x", stand.prefix), format!("{}.x", stand.prefix), "q".repeat(81), "a/b".to_owned()] {
        let made = stand.sqs.create_queue().queue_name(&name).send().await;
        ensure!(made.is_err(), "the name {name} was taken");
    }
    Ok(())
}

async fn a_fifo_name_needs_the_attribute(stand: Stand) -> Outcome {
    refused!(stand.sqs.create_queue().queue_name(stand.name("q.fifo")));
    refused!(stand.sqs.create_queue().queue_name(stand.name("q")).attributes(Name::FifoQueue, "true"));
    Ok(())
}

async fn tags_can_come_with_the_creation(stand: Stand) -> Outcome {
    let made = stand.sqs.create_queue().queue_name(stand.name("q")).tags("team", "payments").send().await?;
    let tags = stand.sqs.list_queue_tags().queue_url(made.queue_url.unwrap_or_default()).send().await?.tags;
    same("the tag", tags.unwrap_or_default().get("team").map(String::as_str), Some("payments"))
}

async fn a_url_is_found_by_name(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let found = stand.sqs.get_queue_url().queue_name(stand.name("q")).send().await?;
    same("the URL", found.queue_url, Some(url))
}

async fn a_missing_name_is_a_typed_exception(stand: Stand) -> Outcome {
    refused!(stand.sqs.get_queue_url().queue_name(stand.name("nowhere")), is_queue_does_not_exist);
    Ok(())
}

async fn a_new_queue_has_the_defaults(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let all = stand.attributes(&url).await?;
    for (name, value) in [
        (Name::VisibilityTimeout, "30"),
        (Name::MessageRetentionPeriod, "345600"),
        (Name::DelaySeconds, "0"),
        (Name::ReceiveMessageWaitTimeSeconds, "0"),
        (Name::MaximumMessageSize, "1048576"),
    ] {
        same(name.as_str(), all.get(&name).map(String::as_str), Some(value))?;
    }
    Ok(())
}

async fn the_arn_says_where_the_queue_is(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let arn = stand.arn(&url).await?;
    let account = url.rsplit('/').nth(1).unwrap_or_default();
    let parts: Vec<&str> = arn.split(':').collect();
    same("the parts", parts.len(), 6)?;
    same("the beginning", parts[..3].to_vec(), vec!["arn", "aws", "sqs"])?;
    ensure!(parts[3].contains('-'), "{} is no region", parts[3]);
    same("the account", parts[4], account)?;
    same("the name", parts[5], &stand.name("q"))
}

async fn timestamps_are_in_seconds(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let all = stand.attributes(&url).await?;
    let now = jiff::Timestamp::now().as_second();
    for name in [Name::CreatedTimestamp, Name::LastModifiedTimestamp] {
        let value: i64 = all.get(&name).map_or("", String::as_str).parse()?;
        ensure!((now - 120..=now + 5).contains(&value), "{name} is {value}, and now is {now}");
    }
    Ok(())
}

async fn a_standard_queue_shows_no_fifo_attributes(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let all = stand.attributes(&url).await?;
    for name in [Name::FifoQueue, Name::ContentBasedDeduplication, Name::RedrivePolicy] {
        ensure!(!all.contains_key(&name), "{name} is there");
    }
    Ok(())
}

async fn only_the_attributes_asked_for_come(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let ask = stand.sqs.get_queue_attributes().queue_url(&url).attribute_names(Name::QueueArn);
    let two = ask.attribute_names(Name::DelaySeconds).send().await?;
    let names = two.attributes.unwrap_or_default().into_keys().map(|name| name.as_str().to_owned()).collect();
    same("the names", sorted(names), vec!["DelaySeconds".to_owned(), "QueueArn".to_owned()])
}

async fn an_unknown_attribute_name_is_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let ask = stand.sqs.get_queue_attributes().queue_url(&url).attribute_names("Colour".into());
    refused!(ask, is_invalid_attribute_name);
    Ok(())
}

async fn set_attributes_are_shown(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[(Name::DelaySeconds, "7")]).await?;
    let set = stand.sqs.set_queue_attributes().queue_url(&url).attributes(Name::VisibilityTimeout, "90");
    set.attributes(Name::MessageRetentionPeriod, "1209600").send().await?;
    let all = stand.attributes(&url).await?;
    let shown = |name| all.get(&name).map(String::as_str);
    same("VisibilityTimeout", shown(Name::VisibilityTimeout), Some("90"))?;
    same("MessageRetentionPeriod", shown(Name::MessageRetentionPeriod), Some("1209600"))?;
    same("DelaySeconds", shown(Name::DelaySeconds), Some("7"))
}

async fn attributes_out_of_range_are_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    for (name, value) in [
        (Name::VisibilityTimeout, "43201"),
        (Name::DelaySeconds, "901"),
        (Name::MessageRetentionPeriod, "59"),
        (Name::ReceiveMessageWaitTimeSeconds, "21"),
        (Name::MaximumMessageSize, "1023"),
    ] {
        let set = stand.sqs.set_queue_attributes().queue_url(&url).attributes(name.clone(), value).send().await;
        let Err(error) = set else { return Err(Failure(format!("{name} was set to {value}"))) };
        ensure!(error.into_service_error().is_invalid_attribute_value(), "{name}={value} is refused as something else");
    }
    Ok(())
}

async fn queues_are_listed_by_prefix(stand: Stand) -> Outcome {
    let expected = sorted(vec![stand.queue("p1-a", &[]).await?, stand.queue("p1-b", &[]).await?]);
    stand.queue("p2", &[]).await?;
    let listed = stand.sqs.list_queues().queue_name_prefix(stand.name("p1")).send().await?;
    same("the list", sorted(listed.queue_urls.unwrap_or_default()), expected)
}

async fn lists_come_in_pages(stand: Stand) -> Outcome {
    let mut expected = Vec::new();
    for number in 0..5 {
        expected.push(stand.queue(&format!("q{number}"), &[]).await?);
    }
    let (mut found, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        let list = stand.sqs.list_queues().queue_name_prefix(stand.name("q")).max_results(2);
        let page = list.set_next_token(token).send().await?;
        let urls = page.queue_urls.unwrap_or_default();
        ensure!(urls.len() <= 2, "{} queues on a page of 2", urls.len());
        found.extend(urls);
        pages += 1;
        token = page.next_token;
        if token.is_none() || pages > 9 {
            break;
        }
    }
    same("the pages", pages, 3)?;
    same("the list", sorted(found), sorted(expected))
}

async fn tags_are_added_and_taken_off(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let tag = || stand.sqs.tag_queue().queue_url(&url);
    tag().tags("team", "payments").tags("env", "test").send().await?;
    tag().tags("team", "orders").send().await?;
    stand.sqs.untag_queue().queue_url(&url).tag_keys("env").send().await?;
    let tags = stand.sqs.list_queue_tags().queue_url(&url).send().await?.tags.unwrap_or_default();
    same("the tags", tags.into_iter().collect::<Vec<_>>(), vec![("team".to_owned(), "orders".to_owned())])
}

async fn a_purge_forgets_everything(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "in flight").await?;
    stand.receive_for(&url, 1, 2).await?;
    stand.send(&url, "visible").await?;
    stand.sqs.purge_queue().queue_url(&url).send().await?;
    pause(2.2).await;
    stand.is_empty(&url).await
}

async fn a_second_purge_within_a_minute_is_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.sqs.purge_queue().queue_url(&url).send().await?;
    refused!(stand.sqs.purge_queue().queue_url(&url), is_purge_queue_in_progress);
    Ok(())
}

async fn a_bare_name_is_good_for_a_url(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let arn = stand.arn(&url).await?;
    same("the queue", stand.arn(&stand.name("q")).await?, arn)?;
    refused!(stand.sqs.get_queue_attributes().queue_url(stand.name("other")), is_queue_does_not_exist);
    Ok(())
}

async fn a_deleted_queue_is_not_found(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.sqs.delete_queue().queue_url(&url).send().await?;
    refused!(stand.sqs.get_queue_url().queue_name(stand.name("q")), is_queue_does_not_exist);
    refused!(stand.sqs.send_message().queue_url(&url).message_body("x"), is_queue_does_not_exist);
    refused!(stand.sqs.receive_message().queue_url(&url), is_queue_does_not_exist);
    refused!(stand.sqs.delete_message().queue_url(&url).receipt_handle("x"), is_queue_does_not_exist);
    refused!(stand.sqs.purge_queue().queue_url(&url), is_queue_does_not_exist);
    refused!(stand.sqs.get_queue_attributes().queue_url(&url), is_queue_does_not_exist);
    Ok(())
}

async fn a_deleted_name_rests_a_minute(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.sqs.delete_queue().queue_url(&url).send().await?;
    refused!(stand.sqs.create_queue().queue_name(stand.name("q")), is_queue_deleted_recently);
    Ok(())
}

async fn the_counts_follow_the_messages(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    for body in ["a", "b", "c"] {
        stand.send(&url, body).await?;
    }
    stand.sqs.send_message().queue_url(&url).message_body("later").delay_seconds(600).send().await?;
    let received = stand.sqs.receive_message().queue_url(&url).wait_time_seconds(2).send().await?;
    let in_flight = received.messages().len();
    let all = stand.attributes(&url).await?;
    let count = |name| all.get(&name).map(String::as_str).unwrap_or_default().parse::<usize>();
    same("in flight", count(Name::ApproximateNumberOfMessagesNotVisible)?, in_flight)?;
    same("visible", count(Name::ApproximateNumberOfMessages)?, 3 - in_flight)?;
    same("delayed", count(Name::ApproximateNumberOfMessagesDelayed)?, 1)
}
