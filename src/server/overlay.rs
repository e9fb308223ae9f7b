//! A request's own recipe, laid over the server's: what it may change, and what would need other networks or other
//! files of the server's and is refused by name.

use serde_json::{Map, Value};

use super::error::ApiError;
use crate::Recipe;
use crate::recipe::Stage;

/// The server's recipe with the fields that `text` gives, which is RON as in a recipe file, or JSON as in
/// `results.json`. A field left out keeps the server's value; a field with fields of its own is given whole, and what
/// it leaves out takes the defaults.
///
/// # Errors
/// 422 for what cannot be read or is out of range, and for a field that is the server's to decide: model, reference
/// photos and what is made of them once for all requests, and the address that explanations are asked of.
pub fn overlay(server: &Recipe, text: &str) -> Result<Recipe, ApiError> {
    let asked = merged(server, text)?;
    asked.check()?;
    // Also what the stages do not tell: an address is no part of any verdict, but this server would connect to it.
    let deep = |field: &str, value: &Value| {
        let mut alone = as_json(server)?;
        alone.insert(field.to_owned(), value.clone());
        let alone = from_json(alone)?;
        Ok::<_, ApiError>(
            server.stage_changed(&alone).is_some_and(|stage| stage < Stage::Evidence) || alone.vlm != server.vlm,
        )
    };
    let (before, after) = (as_json(server)?, as_json(&asked)?);
    let mut refused = Vec::new();
    for (field, value) in &after {
        if before.get(field) != Some(value) && deep(field, value)? {
            refused.push(format!("`{field}`"));
        }
    }
    if refused.is_empty() {
        return Ok(asked);
    }
    Err(ApiError::unusable(format!(
        "A request cannot change {}: that is for the server's own recipe. Leave it out, or start a server with it.",
        refused.join(", ")
    )))
}

fn merged(server: &Recipe, text: &str) -> Result<Recipe, ApiError> {
    let unreadable = |e: &dyn std::fmt::Display| {
        ApiError::unusable(format!("The recipe cannot be read: {e}. Send RON as in a recipe file, or a JSON object."))
    };
    let (given, fields): (Recipe, Vec<String>) = if text.trim_start().starts_with('{') {
        let fields: Map<String, Value> = serde_json::from_str(text).map_err(|e| unreadable(&e))?;
        (serde_json::from_str(text).map_err(|e| unreadable(&e))?, fields.into_iter().map(|(field, _)| field).collect())
    } else {
        let given = ron::from_str(text).map_err(|e| unreadable(&e))?;
        let fields = match ron::from_str(text).map_err(|e| unreadable(&e))? {
            ron::Value::Map(fields) => fields,
            // `()`, a recipe that changes nothing.
            ron::Value::Unit => ron::Map::new(),
            _ => return Err(unreadable(&"it is no recipe")),
        };
        let name = |field: &ron::Value| match field {
            ron::Value::String(name) => Some(name.clone()),
            _ => None,
        };
        (given, fields.keys().filter_map(name).collect())
    };
    let given = as_json(&given)?;
    let mut whole = as_json(server)?;
    for field in fields {
        if let Some(value) = given.get(&field) {
            whole.insert(field, value.clone());
        } else {
            // Fields that are left out of files where they have no value.
            whole.remove(&field);
        }
    }
    from_json(whole)
}

/// Every field by name. Numbers keep every bit: each `f32` has an exact `f64`.
fn as_json(recipe: &Recipe) -> Result<Map<String, Value>, ApiError> {
    match serde_json::to_value(recipe) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(ApiError::bug("a recipe is no JSON object.")),
    }
}

fn from_json(fields: Map<String, Value>) -> Result<Recipe, ApiError> {
    serde_json::from_value(Value::Object(fields))
        .map_err(|e| ApiError::bug(format!("a recipe does not survive JSON ({e}).")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn server() -> Recipe {
        Recipe {
            object: "ring".into(),
            references: vec!["/secret/a.png".into()],
            image_threshold: Some(2.1),
            ..Recipe::default()
        }
    }

    #[test]
    fn fields_left_out_are_the_servers_in_both_notations() {
        for text in ["(text_weight: 0.1, top_k: 2)", r#"{"text_weight": 0.1, "top_k": 2}"#] {
            let asked = overlay(&server(), text).unwrap();
            assert_eq!(asked, Recipe { text_weight: 0.1, top_k: 2, ..server() });
        }
        assert_eq!(overlay(&server(), "(image_threshold: None)").unwrap().image_threshold, None);
        assert_eq!(overlay(&server(), r#"{"image_threshold": null}"#).unwrap().image_threshold, None);
        assert_eq!(overlay(&server(), "()").unwrap(), server());
        assert_eq!(overlay(&server(), "(object: \"nut\")").unwrap().object, "nut");
    }

    #[test]
    fn a_whole_recipe_comes_through_to_the_bit() {
        let asked = Recipe { temperature: 0.1 + 0.2, sigma_px: 1.0 / 3.0, ..server() };
        assert_eq!(overlay(&server(), &asked.to_ron().unwrap()).unwrap(), asked);
        assert_eq!(overlay(&server(), &serde_json::to_string(&asked).unwrap()).unwrap(), asked);
    }

    #[test]
    fn what_is_the_servers_is_refused_by_name() {
        let refusal = |text| format!("{:?}", overlay(&server(), text).unwrap_err());
        for (text, field) in [
            ("(references: [\"/etc/passwd\"])", "`references`"),
            ("(model: \"/etc\", seed: 3)", "`model`, `seed`"),
            ("(layers: Some([3]))", "`layers`"),
            ("(input: (short_side: Some(4096)))", "`input`"),
            (r#"(vlm: Some((address: "http://10.0.0.1/")))"#, "`vlm`"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(field) && !refusal.contains("secret"), "{refusal}");
        }
        assert!(refusal("(treshold: 1)").contains("treshold"));
        assert!(refusal("(temperature: 0)").contains("temperature"));
        assert!(refusal("nonsense").contains("cannot be read"));
        assert!(refusal("[1]").contains("cannot be read"));
    }
}
