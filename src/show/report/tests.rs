//! What a report says, in every medium: goldens for the whole, assertions for what must never be lost.

mod html;
mod markdown;
mod text;

use super::*;
use crate::found::FIGURES;
use crate::show::sample::sample_report;

#[test]
fn every_figure_is_shown_where_there_is_room_for_it() {
    let report = sample_report();
    let (page, ticket, table) = (browser(&report), markdown(&report), every_tensor(&report, false, 300));
    for figure in FIGURES {
        let (title, short) = (figure.title, figure.room.is_some());
        assert!(page.contains(&format!(">{title}</th>")), "{title}");
        assert_eq!(ticket.contains(&format!("| {title} |")), short, "{title}");
        assert_eq!(table.lines().next().unwrap().contains(title), short, "{title}");
        let narrow = every_tensor(&report, false, 69);
        assert_eq!(
            narrow.lines().next().unwrap().contains(title),
            figure.room.is_some_and(|room| room < 70),
            "{title}"
        );
    }
}
