//! Does a photo show what its description says? Cosines of embeddings against a threshold, the description taken apart
//! claim by claim, and whole tables of photo–text pairs. Networks stay behind [`Encoder`]; everything else here is
//! arithmetic on embeddings.

mod batch;
mod claim;
mod evaluate;
mod histogram;
mod lab;
mod outcome;
mod pairs;
mod part_file;
mod place;
mod results;
mod similarity;
mod words;

pub use batch::{BatchOutcome, Encoder, Scored, match_pairs};
pub use claim::{Claim, ClaimKind, Saying, claims};
pub use evaluate::{Choice, Evaluation, ThresholdFigures, evaluate, figures_at};
pub use histogram::{Histogram, draw_histogram};
pub use lab::{DescriptionMatch, LabEncoder, Question, SeenPhoto, describe_photo, see_photo};
pub use outcome::{ClaimOutcome, Holds, Separation, judge_claims, sentences, separation};
pub use pairs::{BadRow, Label, Pair, Pairs, read_pairs};
pub use part_file::PartFile;
pub use place::{Place, PlaceMap, locate};
pub use results::{TableFormat, TableSummary, fingerprint, write_table};
pub use similarity::{
    BANDS, Band, DEFAULT_THRESHOLD, LENIENT_THRESHOLD, LabelScores, Match, STRICT_THRESHOLD, Status, band, judge_match,
    label_sentence, parse_threshold, similarity, zero_shot,
};
