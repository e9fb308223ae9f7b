//! The matrix of verdicts: one row per true class, or good and defective; a cell opens its photos.

use egui::Ui;

use crate::app::action::{Action, Desk};
use crate::app::evaluation::{Evaluation, VERDICTS};
use crate::app::photo_list::{Agreement, Focus, Rule};
use crate::app::state::photos;
use crate::app::theme::{self, palette};
use crate::app::widgets::matrix::{Cell, Matrix, Tone, matrix};
use crate::app::widgets::segments;

/// Shows the matrix.
pub fn show(ui: &mut Ui, desk: &mut Desk<'_>, evaluation: &Evaluation) {
    let two = desk.state.look.two_rows;
    ui.horizontal(|ui| {
        ui.label(theme::strong("Verdicts"));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let choices = [
                (true, "Good and defective", "Two rows: all good classes, all others."),
                (false, "Every class", "One row per true class."),
            ];
            if let Some(choice) = segments(ui, two, &choices) {
                desk.look(move |look| look.two_rows = choice);
            }
        });
    });
    ui.add_space(theme::GRID);
    let rows = evaluation.rows(two);
    let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    let columns = VERDICTS.map(|verdict| format!("{} {}", theme::sign(verdict), verdict.word()));
    let chosen = desk.state.photos.focus().and_then(|focus| {
        let Rule::Judged(labels, verdict) = &focus.rule else { return None };
        let row = rows.iter().position(|row| row.labels == *labels)?;
        Some((row, VERDICTS.iter().position(|of| of == verdict)?))
    });
    let title = |row: usize, column: usize| format!("{} judged {}", rows[row].name, VERDICTS[column].word());
    let clicked = matrix(
        ui,
        &Matrix {
            axes: ("truly", "verdict"),
            rows: &names,
            columns: &columns,
            cell: &|row, column| {
                let (row, verdict) = (&rows[row], VERDICTS[column]);
                let tone = match Agreement::of(verdict, row.normal) {
                    Agreement::Right => Tone::Right,
                    Agreement::Open => Tone::Open,
                    Agreement::FalseAlarm | Agreement::Miss => Tone::Wrong,
                };
                Cell { count: row.count(verdict) as usize, share: row.share(verdict) as f32, tone }
            },
            name: &|row, column| {
                let (at, verdict) = (&rows[row], VERDICTS[column]);
                let share = 100.0 * at.share(verdict);
                format!("{}: {}, {share:.1} % of the row", title(row, column), photos(at.count(verdict) as usize))
            },
            chosen,
        },
    );
    if let Some((row, column)) = clicked {
        let rule = Rule::Judged(rows[row].labels.clone(), VERDICTS[column]);
        let focus = Focus { title: title(row, column), rule };
        desk.push(Action::Focus((chosen != Some((row, column))).then_some(focus)));
    }
    ui.add_space(theme::GRID);
    let text = "Outlined cells are right. Click a cell to see its photos in the film strip, again to see all.";
    ui.label(theme::small(text).color(palette(ui).ink_faint));
}
